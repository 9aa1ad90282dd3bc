// SPDX-License-Identifier: GPL-2.0-only

//! Entries of page tables in simulated memory.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::{
    Index,
    Level, //
};
use crate::platform::kernel::address;
use crate::platform::machine::host::host;
use crate::platform::machine::memory::{
    load,
    store, //
};
use crate::platform::paging::scan::GROUP;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;

/// A pointer to an entry of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryPtr(Vaddr);

impl EntryPtr {
    /// Returns the pointer to the entry at `at`.
    pub(in crate::platform) fn at(at: Vaddr) -> Self {
        Self(at)
    }

    /// Returns the entry.
    #[track_caller]
    pub(crate) fn read(self) -> MachineEntry {
        host().step();
        MachineEntry::from_raw(load(self.0))
    }

    /// Returns the bits that are set in any of the [`GROUP`] entries from this one on, which are in
    /// the same table.
    pub(in crate::platform) fn any_of_group(self) -> usize {
        let group = self.index().and_behind().take(GROUP);
        group.fold(0, |any, index| any | self.table().entry(index).read().raw())
    }

    /// Stores the entry with a plain write.
    #[track_caller]
    pub(in crate::platform) fn store(self, entry: MachineEntry) {
        store(self.0, entry.raw());
    }

    /// Returns the address of the entry.
    pub(crate) fn vaddr(self) -> Vaddr {
        self.0
    }

    /// Returns the table that the entry is part of.
    pub(crate) fn table(self) -> Table {
        Table::at(self.0.page_start())
    }

    /// Returns the index of the entry in its table.
    pub(crate) fn index(self) -> Index {
        Index::at_offset(self.0.page_offset())
    }
}

/// Finds the entry that maps `vaddr` in the kernel's address space, and its level.
pub(crate) fn lookup_address(vaddr: Vaddr) -> Option<(EntryPtr, Level)> {
    let level1 = ptr_for(vaddr, xen_model::Level::L1).map(|ptr| (ptr, Level::L1));
    level1.or_else(|| {
        let ptr = lookup_level2(vaddr)?;
        ptr.read().is_huge().then_some((ptr, Level::L2))
    })
}

/// Finds the entry of level 2 above `vaddr` in the kernel's address space.
pub(crate) fn lookup_level2(vaddr: Vaddr) -> Option<EntryPtr> {
    ptr_for(vaddr, xen_model::Level::L2)
}

fn ptr_for(vaddr: Vaddr, level: xen_model::Level) -> Option<EntryPtr> {
    let host = host();
    host.step();
    let table = host.table_for(vaddr, level)?;
    let pfn = host.machine.borrow().m2p(table)?;
    let table = Table::at(address::pfn_to_virt(Pfn::new(pfn as usize)));
    Some(table.entry(Index::wrapping(level.index(vaddr.raw() as u64))))
}

/// Whether the entry belongs to the early fixed mappings.
pub(crate) fn is_early_ioremap(ptr: EntryPtr) -> bool {
    static_tables::fixmap_level1().next() == Some(ptr.table())
}
