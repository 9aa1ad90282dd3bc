// SPDX-License-Identifier: GPL-2.0

//! Pages of entries: page tables, and those that the toolstack reads like page tables.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::early::phase::RunTime;
use crate::platform::kernel::address;
use crate::platform::machine::host::host;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::{
    OwnedPage,
    TablePage, //
};
use crate::platform::paging::static_tables;
use crate::platform::xen::frames;

/// A page of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Table(Vaddr);

impl Table {
    /// Names the page at this address.
    ///
    /// # Safety
    ///
    /// None here: an access to a page that is no table fails the test.
    pub(crate) unsafe fn from_raw(page: *mut usize) -> Self {
        Self::at(Vaddr::new(page as usize))
    }

    /// Names the page at `page`.
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

/// A table that is a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Root(Table);

impl Root {
    /// Takes `table` for the root of an address space, or the kernel's own.
    pub(crate) fn from_table(table: Table) -> Self {
        Self(table)
    }

    /// Returns the table.
    pub(crate) fn table(self) -> Table {
        self.0
    }

    /// Returns the `struct page` of the table, if there are `struct page`s yet.
    pub(crate) fn page(self) -> Option<TablePage> {
        RunTime::now().map(|now| TablePage::at(now, self.0))
    }

    /// Returns the root table for user mode that belongs to this one, if it has one.
    pub(crate) fn user_root(self) -> Option<Table> {
        self.page()?.with_state(|state| state.user_root)
    }

    /// Hands `user_root` over as the root table for user mode.
    pub(crate) fn set_user_root(self, user_root: OwnedPage) -> Result<(), OwnedPage> {
        let Some(page) = self.page() else {
            return Err(user_root);
        };
        let user_root = user_root.leak();
        let before = page.with_state(|state| state.user_root.replace(user_root));
        assert_eq!(before, None, "a root has two user roots");
        Ok(())
    }

    /// Takes the root table for user mode back.
    pub(crate) fn take_user_root(self) -> Option<OwnedPage> {
        let user_root = self.page()?.with_state(|state| state.user_root.take())?;
        Some(OwnedPage::from_leaked(user_root))
    }
}

/// A pointer to an entry of a [`Root`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootEntryPtr(EntryPtr);

impl RootEntryPtr {
    /// Takes `ptr` for an entry of a root table.
    pub(crate) fn from_ptr(ptr: EntryPtr) -> Self {
        Self(ptr)
    }

    /// Returns the pointer, without the root.
    pub(crate) fn ptr(self) -> EntryPtr {
        self.0
    }

    /// Returns the root table.
    pub(crate) fn root(self) -> Root {
        Root(self.0.table())
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
