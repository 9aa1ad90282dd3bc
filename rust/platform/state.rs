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
    Slot,
    Table, //
};

/// How an entry is set.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// By a store.
    Private(PrivateSlot),
    /// By a hypercall.
    Known(KnownSlot),
}

/// The place of an entry in a table that Xen does not know as such.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PrivateSlot(Slot);

impl PrivateSlot {
    /// Takes the page that `slot` is part of for one that Xen does not know as a table.
    #[inline(always)]
    pub(super) fn new(slot: Slot) -> Self {
        Self(slot)
    }

    /// Takes `slot` for one that Xen does not know either: it learns of both tables together.
    #[inline(always)]
    pub(crate) fn beside(self, slot: Slot) -> Self {
        Self(slot)
    }

    /// Stores the entry with a plain write.
    #[inline(always)]
    pub(crate) fn store(self, entry: MachineEntry) {
        self.0.store(entry);
    }
}

/// The place of an entry in a table that Xen knows: it is read-only.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct KnownSlot(Slot);

impl KnownSlot {
    /// Returns the place, to read the entry or to name it to Xen.
    #[inline(always)]
    pub(crate) fn slot(self) -> Slot {
        self.0
    }
}

impl Slot {
    /// Finds out how the entry has to be set.
    ///
    /// Context: holds the lock of the table, or has it for itself.
    #[inline(always)]
    pub(crate) fn place(self) -> Place {
        if is_table_pinned(self.table()) {
            Place::Known(KnownSlot(self))
        } else {
            Place::Private(PrivateSlot(self))
        }
    }

    /// Takes the table for one that Xen knows; if it does not, it stores the entry unchecked.
    #[inline(always)]
    pub(crate) fn known(self) -> KnownSlot {
        KnownSlot(self)
    }

    /// Takes the table for one that Xen does not know yet, or that is of level 1.
    ///
    /// Most are not known when early code sets entries. A write to the others traps, and Xen
    /// emulates it, for level 1 only.
    #[inline(always)]
    pub(crate) fn early(self, _: Early) -> PrivateSlot {
        PrivateSlot(self)
    }
}

impl Table {
    /// Returns the place of entry `index` in a table of start of day that Xen is not told of yet,
    /// or no longer.
    #[inline(always)]
    pub(crate) fn private_entry(self, _: Early, index: Index) -> PrivateSlot {
        PrivateSlot::new(self.entry(index))
    }
}
