// SPDX-License-Identifier: GPL-2.0

//! What Xen knows of a table decides how its entries are set; here it decides by type.
//!
//! A store to a table that Xen knows faults or, at level 1, traps and is emulated. An `mmu_update`
//! of a table that Xen does not know is a plain store, unchecked, as of any writable page of the
//! domain: it costs a hypercall, and nothing looks at the entry before the table is pinned (Xen
//! `mm.c`, `do_mmu_update()`).

use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::{
    is_table_pinned,
    Early,
    EntryPtr,
    Table, //
};

/// How an entry is set.
#[derive(Clone, Copy)]
pub(crate) enum PinState {
    /// By a store.
    Unpinned(UnpinnedEntryPtr),
    /// By a hypercall.
    Pinned(PinnedEntryPtr),
}

/// A pointer to an entry of a table that Xen does not know as such.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct UnpinnedEntryPtr(EntryPtr);

impl UnpinnedEntryPtr {
    /// Takes the page that `ptr` is part of for one that Xen does not know as a table.
    #[inline(always)]
    pub(super) fn new(ptr: EntryPtr) -> Self {
        Self(ptr)
    }

    /// Takes `ptr` for one that Xen does not know either: it learns of both tables together.
    #[inline(always)]
    pub(crate) fn beside(self, ptr: EntryPtr) -> Self {
        Self(ptr)
    }

    /// Stores the entry with a plain write.
    #[inline(always)]
    pub(crate) fn store(self, entry: MachineEntry) {
        self.0.store(entry);
    }
}

/// A pointer to an entry of a table that Xen knows: it is read-only.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PinnedEntryPtr(EntryPtr);

impl PinnedEntryPtr {
    /// Returns the pointer, to read the entry or to name it to Xen.
    #[inline(always)]
    pub(crate) fn ptr(self) -> EntryPtr {
        self.0
    }
}

impl EntryPtr {
    /// Finds out how the entry has to be set.
    ///
    /// Context: holds the lock of the table, or has it for itself.
    #[inline(always)]
    pub(crate) fn pin_state(self) -> PinState {
        if is_table_pinned(self.table()) {
            PinState::Pinned(PinnedEntryPtr(self))
        } else {
            PinState::Unpinned(UnpinnedEntryPtr(self))
        }
    }

    /// Takes the table for one that Xen knows; if it does not, it stores the entry unchecked.
    #[inline(always)]
    pub(crate) fn assume_pinned(self) -> PinnedEntryPtr {
        PinnedEntryPtr(self)
    }

    /// Takes the table for one that Xen does not know yet, or that is of level 1.
    ///
    /// Most are not known when early code sets entries. A write to the others traps, and Xen
    /// emulates it, for level 1 only.
    #[inline(always)]
    pub(crate) fn early(self, _: Early) -> UnpinnedEntryPtr {
        UnpinnedEntryPtr(self)
    }
}

impl Table {
    /// Returns the pointer to entry `index` of a table of start of day that Xen does not know yet,
    /// or no longer.
    #[inline(always)]
    pub(crate) fn unpinned_entry(self, _: Early, index: Index) -> UnpinnedEntryPtr {
        UnpinnedEntryPtr::new(self.entry(index))
    }
}
