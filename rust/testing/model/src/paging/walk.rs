// SPDX-License-Identifier: GPL-2.0-only

//! Walks of the page tables: by the CPU, and by tests, which set no bits.

use crate::entry::{
    Entry,
    Level,
    ACCESSED,
    DIRTY,
    GLOBAL,
    GUEST_KERNEL,
    RW, //
};
use crate::paging::access::canonical;
use crate::paging::tlb::Translation;
use crate::types::{
    FaultKind,
    Mfn,
    Vcpu,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::Machine;

/// Result of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    /// The frame of the page.
    pub mfn: Mfn,
    /// Whether all levels allow writes.
    pub writable: bool,
    /// The table that holds the leaf.
    pub table: Mfn,
    /// The index of the leaf.
    pub index: usize,
    /// The leaf.
    pub leaf: Entry,
    /// The level of the leaf.
    pub level: Level,
}

fn leaf_of(va: u64, level: Level, table: Mfn, entry: Entry, writable: bool) -> Walk {
    let pages = (va & ((1 << level.shift()) - 1)) / PAGE_SIZE;
    Walk {
        mfn: Mfn(entry.mfn().0 + pages),
        writable,
        table,
        index: level.index(va),
        leaf: entry,
        level,
    }
}

impl Machine {
    /// Looks up `va` in the tables under `root`, without setting accessed bits.
    pub fn translate_from(&self, root: Mfn, va: u64) -> Option<Walk> {
        let mut table = root;
        let mut writable = true;

        for level in Level::DOWN {
            let index = level.index(va);
            if !level.is_guest_slot(index) {
                return None;
            }
            let entry = Entry(self.frame_word(table, index));
            if !entry.is_present() {
                return None;
            }
            writable &= entry.is_writable();
            if level == Level::L1 || entry.is_large(level) {
                return Some(leaf_of(va, level, table, entry, writable));
            }
            table = entry.mfn();
        }
        None
    }

    /// Looks up `va` in the kernel's tables of `who`, without setting accessed bits.
    pub fn translate(&self, who: Vcpu, va: u64) -> Option<Walk> {
        self.translate_from(self.root(who)?, va)
    }

    /// Returns the table of `level` whose entry decides on `va` in the kernel's tables of `who`.
    pub fn table_for(&self, who: Vcpu, va: u64, level: Level) -> Option<Mfn> {
        let mut table = self.root(who)?;
        for upper in Level::DOWN.into_iter().take_while(|&upper| upper > level) {
            let entry = Entry(self.frame_word(table, upper.index(va)));
            if !entry.is_present() || entry.is_large(upper) || !upper.is_guest_slot(upper.index(va))
            {
                return None;
            }
            table = entry.mfn();
        }
        Some(table)
    }

    /// Returns the addresses that leaves of the guest's kernel map under `root`, and the frames.
    /// There must be none for a root of user mode.
    pub fn kernel_leaves(&self, root: Mfn) -> Vec<(u64, Mfn)> {
        let mut found = Vec::new();
        self.collect_kernel_leaves(root, Level::L4, 0, &mut found);
        found
    }

    fn collect_kernel_leaves(
        &self,
        table: Mfn,
        level: Level,
        start: u64,
        found: &mut Vec<(u64, Mfn)>,
    ) {
        for index in (0..ENTRIES).filter(|&index| level.is_guest_slot(index)) {
            let entry = Entry(self.frame_word(table, index));
            let va = start | ((index as u64) << level.shift());
            if !entry.is_present() {
                continue;
            }
            match level.below().filter(|_| !entry.is_large(level)) {
                Some(below) => self.collect_kernel_leaves(entry.mfn(), below, va, found),
                None if entry.has(GUEST_KERNEL) => found.push((canonical(va), entry.mfn())),
                None => {}
            }
        }
    }

    /// Walks as the CPU does: sets bits, and caches the result.
    pub(crate) fn walk(
        &mut self,
        who: Vcpu,
        root: Mfn,
        va: u64,
        write: bool,
    ) -> Result<Walk, FaultKind> {
        let mut table = root;
        let mut writable = true;

        for level in Level::DOWN {
            let index = level.index(va);
            let entry = Entry(self.frame_word(table, index));
            if !entry.is_present() {
                return Err(FaultKind::NotPresent);
            }
            writable &= entry.has(RW);
            let is_leaf = level == Level::L1 || entry.is_large(level);
            if is_leaf && write && !writable {
                return Err(FaultKind::Protection);
            }
            let dirty = if is_leaf && write { DIRTY } else { 0 };
            let entry = Entry(entry.0 | ACCESSED | dirty);
            self.set_by_hardware(table, index, entry);
            if is_leaf {
                let walk = leaf_of(va, level, table, entry, writable);
                let translation = Translation {
                    mfn: walk.mfn,
                    writable,
                    dirty: entry.has(DIRTY),
                    global: entry.has(GLOBAL),
                };
                self.vcpu_mut(who).tlb.insert(va, translation);
                return Ok(walk);
            }
            table = entry.mfn();
        }
        Err(FaultKind::NotPresent)
    }
}
