// SPDX-License-Identifier: GPL-2.0-only

//! The hypercall `multicall`, and what all hypercalls share.

use crate::hypercall::mmu_update::MmuUpdate;
use crate::hypercall::mmuext::MmuExtOp;
use crate::machine::hooks::Call;
use crate::types::{
    Errno,
    Vcpu, //
};
use crate::Machine;

/// An entry of a multicall.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MulticallEntry {
    /// `mmu_update`.
    MmuUpdate {
        /// The elements.
        updates: Vec<MmuUpdate>,
        /// The owners of the frames and tables that they are about.
        foreigndom: u32,
    },
    /// `mmuext_op`.
    MmuextOp {
        /// The elements.
        ops: Vec<MmuExtOp>,
        /// The owner of the frames that they are about.
        foreigndom: u32,
    },
    /// `update_va_mapping`.
    UpdateVaMapping {
        /// The address.
        va: u64,
        /// The new leaf.
        val: u64,
        /// What to flush.
        flags: u64,
    },
    /// `multicall`, which Xen refuses here.
    Multicall,
    /// An unknown hypercall.
    Unknown(u32),
}

impl Machine {
    /// `multicall`; returns what each entry returned.
    ///
    /// An entry that fails does not stop the rest.
    pub fn multicall(&mut self, who: Vcpu, entries: &[MulticallEntry]) -> Result<Vec<i64>, Errno> {
        self.multicall_with(who, entries.len(), |machine, index| match &entries[index] {
            MulticallEntry::MmuUpdate {
                updates,
                foreigndom,
            } => machine.mmu_update(who, updates, *foreigndom).rax(),
            MulticallEntry::MmuextOp { ops, foreigndom } => {
                machine.mmuext_op(who, ops, *foreigndom).rax()
            }
            MulticallEntry::UpdateVaMapping { va, val, flags } => machine
                .update_va_mapping(who, *va, *val, *flags)
                .map_or_else(Errno::negative, |()| 0),
            MulticallEntry::Multicall => machine
                .multicall_with(who, 0, |_, _| 0)
                .map_or_else(Errno::negative, |_| 0),
            MulticallEntry::Unknown(_) => Errno::ENOSYS.negative(),
        })
    }

    /// `multicall` with `count` entries that `run` carries out. All hypercalls that it makes are
    /// part of the multicall.
    pub fn multicall_with(
        &mut self,
        who: Vcpu,
        count: usize,
        mut run: impl FnMut(&mut Self, usize) -> i64,
    ) -> Result<Vec<i64>, Errno> {
        if self.in_multicall {
            return Err(Errno::EINVAL);
        }
        self.enter(who);
        let results = self.unit(Call::Multicall, who, 0, count).map(|()| {
            self.in_multicall = true;
            let results = (0..count).map(|index| run(self, index)).collect();
            self.in_multicall = false;
            results
        });
        self.leave();
        results
    }

    /// Counts an entry into Xen, and records its vCPU.
    ///
    /// # Panics
    ///
    /// If the domain is dead, or the vCPU does not run.
    pub(crate) fn enter(&mut self, who: Vcpu) {
        let domain = self.domain(who.domain);
        assert!(
            domain.crash.is_none(),
            "{:?} is dead: {:?}",
            domain.id,
            domain.crash
        );
        assert!(self.vcpu(who).is_up, "{who:?} does not run");
        if !self.in_multicall {
            self.stats.world_entries += 1;
        }
        self.current = Some(who);
    }

    /// Counts the entry into Xen that continues an unfinished hypercall.
    pub(crate) fn enter_again(&mut self, who: Vcpu) {
        self.stats.world_entries += 1;
        self.current = Some(who);
    }

    /// Ends a hypercall.
    pub(crate) fn leave(&mut self) {
        if !self.in_multicall {
            self.current = None;
        }
    }
}
