// SPDX-License-Identifier: GPL-2.0-only

//! Whether Xen knows a table decides how its entries are set. Types keep the two cases apart.
//!
//! A store to a table that Xen knows faults or, at level 1, traps and is emulated. An `mmu_update`
//! of a table that Xen does not know is allowed, as for any writable page of the domain. It costs a
//! hypercall, and Xen does not check the entry before the table is pinned (Xen `mm.c`,
//! `do_mmu_update()`).

use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::early::phase::{
    Early,
    RunTime, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::TablePage;
use crate::platform::paging::table::Table;

/// Whether Xen knows `table` as a table; before [`RunTime`] it knows all tables.
///
/// Context: any; the result holds while the caller has the lock of the table.
#[inline(always)]
pub(crate) fn is_table_pinned(table: Table) -> bool {
    RunTime::now().is_none_or(|now| TablePage::at(now, table).is_pinned())
}

/// How an entry is set, with a pointer to it.
#[derive(Clone, Copy)]
pub(crate) enum PinState {
    /// By a store: Xen does not know the table.
    Unpinned(UnpinnedEntryPtr),
    /// By a hypercall: Xen knows the table.
    Pinned(PinnedEntryPtr),
}

/// A pointer to an entry of a table that Xen does not know.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct UnpinnedEntryPtr(EntryPtr);

impl UnpinnedEntryPtr {
    /// Returns `ptr` as a pointer into a page that Xen does not know as a table.
    ///
    /// Context: any.
    #[inline(always)]
    pub(in crate::platform) fn new(ptr: EntryPtr) -> Self {
        Self(ptr)
    }

    /// Returns `ptr`, whose table is pinned together with that of `self`, and so is not known
    /// either.
    ///
    /// Context: as [`EntryPtr::pin_state`].
    #[inline(always)]
    pub(crate) fn beside(self, ptr: EntryPtr) -> Self {
        Self(ptr)
    }

    /// Stores the entry with a plain write.
    ///
    /// Context: as [`EntryPtr::pin_state`].
    #[inline(always)]
    pub(crate) fn store(self, entry: MachineEntry) {
        self.0.store(entry);
    }
}

/// A pointer to an entry of a table that Xen knows, which is read-only.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PinnedEntryPtr(EntryPtr);

impl PinnedEntryPtr {
    /// Returns the pointer, to read the entry or to pass its address to Xen.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn ptr(self) -> EntryPtr {
        self.0
    }
}

impl EntryPtr {
    /// Returns how the entry has to be set.
    ///
    /// Context: the caller holds the lock of the table, or nobody else uses the table.
    #[inline(always)]
    pub(crate) fn pin_state(self) -> PinState {
        if is_table_pinned(self.table()) {
            PinState::Pinned(PinnedEntryPtr(self))
        } else {
            PinState::Unpinned(UnpinnedEntryPtr(self))
        }
    }

    /// Returns a pointer for a hypercall. If Xen does not know the table, it stores the entry
    /// without a check.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn assume_pinned(self) -> PinnedEntryPtr {
        PinnedEntryPtr(self)
    }

    /// Returns a pointer for a store to a table that Xen does not know yet, or that is of level 1.
    ///
    /// Xen does not know most tables when early code sets entries. A store to the others traps, and
    /// Xen emulates it for level 1 only.
    ///
    /// Context: start of day.
    #[inline(always)]
    pub(crate) fn early(self, _: Early) -> UnpinnedEntryPtr {
        UnpinnedEntryPtr(self)
    }
}

impl Table {
    /// Returns the pointer to entry `index` of a table that Xen does not know yet, or no longer,
    /// during start of day.
    ///
    /// Context: start of day.
    #[inline(always)]
    pub(crate) fn unpinned_entry(self, _: Early, index: Index) -> UnpinnedEntryPtr {
        UnpinnedEntryPtr::new(self.entry(index))
    }
}
