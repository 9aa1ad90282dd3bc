// SPDX-License-Identifier: GPL-2.0-only

//! Roots of trees of page tables, and pointers to their entries.

use crate::platform::early::phase::RunTime;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::{
    OwnedPage,
    TablePage, //
};
use crate::platform::paging::table::Table;
use core::ptr::NonNull;

/// A table of level 1 to 4 that is a root: that of an address space, or the kernel's own.
///
/// Context: any, for methods that do not say otherwise.
///
/// # Invariants
///
/// The word of its `struct page` that [`Self::user_root`] reads is 0, or the address of a page that
/// was passed to [`Self::set_user_root`] and has not been taken back.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Root(Table);

impl Root {
    /// Takes over a root table from C.
    ///
    /// # Safety
    ///
    /// `table` is the root table of an address space, or the kernel's own.
    #[inline(always)]
    pub(crate) unsafe fn from_table(table: Table) -> Self {
        // INVARIANT: The word is 0 in a new root (`pgd_alloc()`), and nobody else uses it.
        Self(table)
    }

    /// Returns the table.
    #[inline(always)]
    pub(crate) fn table(self) -> Table {
        self.0
    }

    /// Returns the `struct page` of the table, if there are `struct page`s yet.
    #[inline(always)]
    pub(crate) fn page(self) -> Option<TablePage> {
        RunTime::now().map(|now| TablePage::at(now, self.0))
    }

    /// Returns the user root of this root, if it has one.
    ///
    /// Context: any; the tree exists meanwhile.
    #[inline(always)]
    pub(crate) fn user_root(self) -> Option<Table> {
        // SAFETY: The `struct page` exists at run time. The word changes only while a tree is
        // created or freed, when nobody else uses the tree.
        let word = unsafe { self.page()?.read_pgd_word() };
        // SAFETY: By the type invariant the word is the address of a page that the backend owns. It
        // is freed together with this table.
        NonNull::new(word as *mut usize).map(|page| unsafe { Table::from_raw(page.as_ptr()) })
    }

    /// Makes `user_root` the user root of this root.
    ///
    /// Returns it if there are no `struct page`s yet.
    ///
    /// Context: the tree is being created, and nobody else uses it.
    pub(crate) fn set_user_root(self, user_root: OwnedPage) -> Result<(), OwnedPage> {
        let Some(page) = self.page() else {
            return Err(user_root);
        };
        // INVARIANT: The word is the address of `user_root`, which `leak()` gives up.
        // SAFETY: The `struct page` exists at run time. Generic code does not use this word in the
        // descriptor of a root, and nobody else uses the tree yet.
        unsafe { page.write_pgd_word(user_root.leak().vaddr().raw()) };
        Ok(())
    }

    /// Takes the user root back, if there is one.
    ///
    /// This has to happen before the page of this root is freed, because the allocator expects the
    /// word to be 0.
    ///
    /// Context: nobody uses the tree any more.
    pub(crate) fn take_user_root(self) -> Option<OwnedPage> {
        let user_root = self.user_root()?;
        // SAFETY: As in `set_user_root()`; nobody uses the tree any more.
        // INVARIANT: The word becomes 0.
        unsafe { self.page()?.write_pgd_word(0) };
        // SAFETY: By the type invariant the page was passed to `set_user_root()`, which leaked it.
        // The word is 0 now, so nobody can find the page any more.
        Some(unsafe { OwnedPage::from_leaked(user_root) })
    }
}

/// A pointer to an entry of a [`Root`].
///
/// Context: any, for all methods.
///
/// # Invariants
///
/// The entry is part of a root table.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct RootEntryPtr(EntryPtr);

impl RootEntryPtr {
    /// Takes over an entry of a root table from C.
    ///
    /// # Safety
    ///
    /// `ptr` is in the root table of an address space, or in the kernel's own.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr(ptr: EntryPtr) -> Self {
        // INVARIANT: By the contract of this function.
        Self(ptr)
    }

    /// Returns the pointer, without the root.
    #[inline(always)]
    pub(crate) fn ptr(self) -> EntryPtr {
        self.0
    }

    /// Returns the root table.
    #[inline(always)]
    pub(crate) fn root(self) -> Root {
        // SAFETY: By the type invariant the entry is in a root table.
        unsafe { Root::from_table(self.0.table()) }
    }
}
