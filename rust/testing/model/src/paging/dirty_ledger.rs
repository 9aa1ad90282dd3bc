// SPDX-License-Identifier: GPL-2.0-only

//! The ledger of dirty bits: the guest must read each one that hardware sets before it is
//! overwritten.

use crate::entry::{
    Entry,
    DIRTY,
    FRAME,
    GUEST_KERNEL, //
};
use crate::types::Mfn;
use crate::Machine;
use std::collections::BTreeSet;

/// A dirty bit that was overwritten before the guest had read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostDirty {
    /// The table.
    pub table: Mfn,
    /// The index of the leaf.
    pub index: usize,
    /// The leaf as it was.
    pub was: u64,
    /// What replaced it.
    pub now: u64,
}

impl LostDirty {
    /// Returns the frame that was written to.
    pub fn mfn(&self) -> Mfn {
        Entry(self.was).mfn()
    }

    /// Whether the leaf was one of the guest's kernel, where a lost bit does no harm.
    pub fn is_kernel(&self) -> bool {
        self.was & GUEST_KERNEL != 0
    }
}

#[derive(Default)]
pub(crate) struct DirtyLedger {
    /// Leaves with a dirty bit that the guest has not seen.
    unseen: BTreeSet<(Mfn, usize)>,
    lost: Vec<LostDirty>,
}

impl DirtyLedger {
    /// The guest has read an entry.
    pub(crate) fn seen(&mut self, table: Mfn, index: usize) {
        if !self.unseen.is_empty() {
            self.unseen.remove(&(table, index));
        }
    }

    /// An entry is overwritten.
    pub(crate) fn overwritten(&mut self, table: Mfn, index: usize, was: u64, now: u64) {
        if self.unseen.is_empty() || (now & DIRTY != 0 && (now ^ was) & FRAME == 0) {
            return;
        }
        // The frame is gone, but the guest can still read the bit itself.
        if now & DIRTY != 0 && now & (FRAME | 1) == 0 {
            return;
        }
        if self.unseen.remove(&(table, index)) {
            self.lost.push(LostDirty {
                table,
                index,
                was,
                now,
            });
        }
    }

    /// A frame is freed.
    pub(crate) fn forget(&mut self, table: Mfn) {
        if !self.unseen.is_empty() {
            self.unseen.retain(|&(mfn, _)| mfn != table);
        }
    }
}

impl Machine {
    /// Returns the dirty bits that were lost since the last call.
    pub fn take_lost_dirty(&mut self) -> Vec<LostDirty> {
        std::mem::take(&mut self.dirty_ledger.lost)
    }

    /// Returns how many dirty bits the guest has not seen yet.
    pub fn nr_unseen_dirty(&self) -> usize {
        self.dirty_ledger.unseen.len()
    }

    /// Stores an entry in which the CPU has set bits.
    pub(crate) fn set_by_hardware(&mut self, table: Mfn, index: usize, entry: Entry) {
        let frame = &mut self.frames[table.index()];
        let was = frame.word(index);
        if was == entry.0 {
            return;
        }
        frame.set_word(index, entry.0);
        if entry.0 & !was & DIRTY != 0 {
            self.dirty_ledger.unseen.insert((table, index));
        }
    }
}
