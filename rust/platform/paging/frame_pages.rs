// SPDX-License-Identifier: GPL-2.0-only

//! Pages of the tree of frame lists, which the toolstack reads.

use crate::addr::Mfn;
use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::paging::pin_state::UnpinnedEntryPtr;
use crate::platform::paging::table::Table;

/// A page of frame numbers for the toolstack, which is never a page table for Xen.
///
/// # Invariants
///
/// The backend owns the page, and never frees it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct FramePage(Table);

impl FramePage {
    /// Keeps `page` for good.
    ///
    /// Context: any.
    pub(crate) fn new(page: OwnedPage) -> Self {
        // INVARIANT: `leak()` keeps the page for good.
        Self(page.leak())
    }

    /// Returns the page.
    ///
    /// Context: any.
    pub(crate) fn table(self) -> Table {
        self.0
    }

    /// Sets the frame at `index`.
    ///
    /// Context: the caller holds the lock of the p2m list, or nobody else has the page.
    pub(crate) fn set(self, index: Index, mfn: Mfn) {
        UnpinnedEntryPtr::new(self.0.entry(index)).store(MachineEntry::from_raw(mfn.raw()));
    }
}

/// A page with the address of a [`FramePage`] in each of its words.
///
/// # Invariants
///
/// Each word is the address of a [`FramePage`].
pub(crate) struct TableList(Table);

impl TableList {
    /// Allocates a list with `member` in each word; returns `None` if there is no memory.
    ///
    /// Context: may sleep.
    pub(crate) fn new(member: FramePage, sleep: &mut MaySleep) -> Option<Self> {
        let mut page = OwnedPage::new(sleep)?;
        page.fill(|_| member.0.vaddr().raw());
        // INVARIANT: Each word is the address of `member`.
        Some(Self(page.leak()))
    }

    /// Returns the page at `index`.
    ///
    /// Context: the caller holds the lock of the p2m list, or nobody else has the list.
    pub(crate) fn get(&self, index: Index) -> FramePage {
        let word = self.0.entry(index).read().raw() as *mut usize;
        // SAFETY: By the type invariant the word is the address of a `FramePage`.
        // INVARIANT: As for that `FramePage`.
        FramePage(unsafe { Table::from_raw(word) })
    }

    /// Puts `member` at `index`.
    ///
    /// Context: as [`Self::get`].
    pub(crate) fn set(&mut self, index: Index, member: FramePage) {
        // INVARIANT: The word becomes the address of a `FramePage`.
        let word = MachineEntry::from_raw(member.0.vaddr().raw());
        UnpinnedEntryPtr::new(self.0.entry(index)).store(word);
    }
}
