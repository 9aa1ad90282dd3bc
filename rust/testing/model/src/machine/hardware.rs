// SPDX-License-Identifier: GPL-2.0-only

//! Hardware that sets accessed and dirty bits at any time, and caches translations at will.

use crate::entry::{
    Entry,
    Level,
    ACCESSED,
    DIRTY, //
};
use crate::machine::domain::Mode;
use crate::paging::tlb::Translation;
use crate::types::{
    Mfn,
    Vcpu,
    ENTRIES, //
};
use crate::Machine;

/// How busy the hardware is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HardwareActivity {
    /// Walks of each vCPU that is up per unit of work.
    pub walks: u32,
    /// Whether leaves become dirty, as by writes of other vCPUs.
    pub dirty: bool,
    /// Whether walks leave translations in the TLB, as speculation does.
    pub fill_tlb: bool,
}

impl HardwareActivity {
    /// Everything that hardware may do.
    pub const ALL: Self = Self {
        walks: 1,
        dirty: true,
        fill_tlb: true,
    };
}

/// The leaf that a random walk found.
struct Found {
    va: u64,
    table: Mfn,
    index: usize,
    leaf: Entry,
    /// Whether all levels allow writes.
    writable: bool,
}

impl Machine {
    /// Sets how busy the hardware is between two units of work.
    pub fn set_hardware_activity(&mut self, activity: HardwareActivity) {
        self.hooks.hardware = activity;
    }

    /// Runs the hardware between two units of work of `who`.
    pub fn run_hardware(&mut self, who: Vcpu) {
        let activity = self.hooks.hardware;
        if activity.walks == 0 {
            return;
        }
        for vcpu in self.all_vcpus() {
            for _ in 0..activity.walks {
                self.random_walk(vcpu, activity, vcpu != who);
            }
        }
    }

    /// Walks the tables of `vcpu` to some leaf, and may store there if `writes`.
    fn random_walk(&mut self, vcpu: Vcpu, activity: HardwareActivity, writes: bool) {
        let state = self.vcpu(vcpu);
        let root = match state.mode {
            Mode::Kernel => state.root,
            Mode::User => state.user_root,
        };
        let Some(found) = root.and_then(|root| self.descend(root)) else {
            return;
        };
        let mut leaf = found.leaf;
        if writes && activity.dirty && found.writable {
            leaf = Entry(leaf.0 | DIRTY);
            self.set_by_hardware(found.table, found.index, leaf);
        }
        if activity.fill_tlb {
            let translation = Translation {
                mfn: leaf.mfn(),
                writable: found.writable,
                dirty: leaf.has(DIRTY),
                global: leaf.has(crate::entry::GLOBAL),
            };
            self.vcpu_mut(vcpu).tlb.insert(found.va, translation);
        }
    }

    /// Picks a present entry at random at each level, and marks it accessed.
    fn descend(&mut self, root: Mfn) -> Option<Found> {
        let mut table = root;
        let mut va = 0;
        let mut writable = true;

        for level in Level::DOWN {
            let first = self.rng.below(ENTRIES as u64) as usize;
            let frame = &self.frames[table.index()];
            let index = (first..first + ENTRIES)
                .map(|index| index % ENTRIES)
                .find(|&index| level.is_guest_slot(index) && frame.word(index) & 1 != 0)?;
            let entry = Entry(frame.word(index) | ACCESSED);
            va |= (index as u64) << level.shift();
            writable &= entry.is_writable();
            if entry.is_large(level) {
                return None;
            }
            self.set_by_hardware(table, index, entry);
            if level == Level::L1 {
                let is_memory = self.is_valid(entry.mfn());
                return is_memory.then_some(Found {
                    va: crate::paging::access::canonical(va),
                    table,
                    index,
                    leaf: entry,
                    writable,
                });
            }
            table = entry.mfn();
        }
        None
    }
}
