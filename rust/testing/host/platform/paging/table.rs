// SPDX-License-Identifier: GPL-2.0-only

//! Pages of entries: page tables, and those that the toolstack reads like page tables.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::kernel::address;
use crate::platform::machine::host::host;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::root::{
    Root,
    RootEntryPtr, //
};
use crate::platform::paging::static_tables;
use crate::platform::xen::frames;

/// A page of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Table(Vaddr);

impl Table {
    /// Returns the page at this address.
    ///
    /// # Safety
    ///
    /// None on the host: an access to a page that is no table fails the test.
    pub(crate) unsafe fn from_raw(page: *mut usize) -> Self {
        Self::at(Vaddr::new(page as usize))
    }

    /// Returns the page at `page`.
    pub(crate) fn at(page: Vaddr) -> Self {
        assert_eq!(page.page_offset(), 0);
        Self(page)
    }

    /// Returns the table that `entry` points to, if that is in RAM of the domain.
    pub(crate) fn below(entry: MachineEntry) -> Option<Self> {
        Self::in_frame(entry.mfn())
    }

    /// Returns the table in machine frame `mfn`, if that is RAM of the domain.
    pub(in crate::platform) fn in_frame(mfn: Mfn) -> Option<Self> {
        frames::own_frame(mfn).map(|pfn| Self(address::pfn_to_virt(pfn)))
    }

    /// Returns the pointer to entry `index`.
    pub(crate) fn entry(self, index: Index) -> EntryPtr {
        EntryPtr::at(self.0.add(index.raw() * size_of::<usize>()))
    }

    /// Returns the address of the page.
    pub(crate) fn vaddr(self) -> Vaddr {
        self.0
    }

    /// Returns the frame of the page.
    pub(crate) fn pfn(self) -> Pfn {
        address::virt_to_phys(self.0).pfn()
    }
}

impl Root {
    /// Takes `table` for a root.
    pub(crate) fn at(table: Table) -> Self {
        // SAFETY: Each page has a word of its own here, whatever it holds.
        unsafe { Self::from_table(table) }
    }
}

impl RootEntryPtr {
    /// Takes `ptr` for an entry of a root.
    pub(crate) fn at(ptr: EntryPtr) -> Self {
        // SAFETY: As in `Root::at()`.
        unsafe { Self::from_ptr(ptr) }
    }
}

/// A page of the kernel image that is, or is to be, a page table.
pub(crate) struct StaticTable(
    /// Statics without a size could share an address.
    #[expect(dead_code, reason = "gives the static an address of its own")]
    u8,
);

impl StaticTable {
    /// Returns a table without entries.
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Returns the table, by its address in the kernel image.
    pub(crate) fn table(&'static self) -> Table {
        let host = host();
        let mut places = host.static_tables.borrow_mut();
        let next = static_tables::nth(static_tables::FIRST_STATIC + places.len());
        let key = &raw const *self as usize;
        Table(*places.entry(key).or_insert(next.vaddr()))
    }
}
