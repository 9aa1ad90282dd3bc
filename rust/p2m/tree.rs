// SPDX-License-Identifier: GPL-2.0-only

//! The tree of frame lists, by which older toolstacks find the p2m list.
//!
//! Its pages hold machine frames: the top page those of the middle pages, and a middle page those
//! of pages of the list. All machine frames change when the domain moves to another host, so a twin
//! of the top page keeps the addresses of the middle pages.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::level::Index;
use crate::p2m::layout::{
    self,
    FRAMES_IN_TREE,
    FRAMES_PER_MIDDLE, //
};
use crate::p2m::shared::Shared;
use crate::p2m::{
    leaf_ptr,
    machine_address, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::diag::report;
use crate::platform::paging::frame_pages::{
    FramePage,
    TableList, //
};
use crate::platform::paging::pages::OwnedPage;
use crate::platform::paging::table::Table;
use crate::platform::xen::machine_map::xen_max_p2m_pfn;
use kernel::macros::init_text;

/// The tree.
///
/// # Invariants
///
/// Element `i` of `twin` is the page whose machine frame is in word `i` of `top`: a middle page of
/// the tree's own, or `missing`.
pub(crate) struct Tree {
    top: FramePage,
    twin: TableList,
    missing: FramePage,
}

/// Returns the machine frame of a page of the kernel.
///
/// Context: any.
pub(super) fn mfn_of_page(page: Table) -> Mfn {
    machine_address(page.vaddr()).mfn()
}

/// Allocates a page for a middle page that describes only missing frames; returns `None` if there
/// is no memory.
///
/// Context: may sleep.
pub(crate) fn new_middle(sleep: &mut MaySleep) -> Option<OwnedPage> {
    let leaf = mfn_of_page(Shared::Missing.page()?).raw();
    let mut page = OwnedPage::new(sleep)?;
    page.fill(|_| leaf);
    Some(page)
}

/// Returns the table of level 1 that maps the words from `start` on.
fn table_at(start: Pfn) -> Table {
    match leaf_ptr(start) {
        Some(ptr) => ptr.table(),
        None => report::die(c"the p2m list is not mapped by pages"),
    }
}

/// Returns the first frame of each middle page that the tree can have.
fn starts() -> impl Iterator<Item = Pfn> {
    let end = xen_max_p2m_pfn.get().min(FRAMES_IN_TREE);
    (0..end).step_by(FRAMES_PER_MIDDLE).map(Pfn::new)
}

impl Tree {
    /// Allocates a tree with a middle page for each table of the list's own.
    ///
    /// Returns `None` if there is no memory.
    ///
    /// Context: start of day, with the list in the vmalloc area.
    #[init_text]
    pub(super) fn new(sleep: &mut MaySleep) -> Option<Self> {
        let missing = FramePage::new(new_middle(sleep)?);
        let mfn = mfn_of_page(missing.table()).raw();
        let mut top = OwnedPage::new(sleep)?;
        top.fill(|_| mfn);
        // INVARIANT: Every middle page is `missing`.
        let mut tree = Self {
            top: FramePage::new(top),
            twin: TableList::new(missing, sleep)?,
            missing,
        };
        for start in starts() {
            if Shared::of_table(table_at(start)).is_none() {
                tree.install_middle(start, &mut Some(new_middle(sleep)?));
            }
        }
        tree.refresh();
        Some(tree)
    }

    /// Returns the machine frame of the top page.
    ///
    /// Context: any.
    pub(super) fn root(&self) -> Mfn {
        mfn_of_page(self.top.table())
    }

    /// Whether the tree covers `pfn` but has no middle page for it yet.
    ///
    /// Context: the caller holds the lock of the list.
    pub(crate) fn lacks_middle(&self, pfn: Pfn) -> bool {
        layout::top_index(pfn).is_some_and(|index| self.twin.get(index) == self.missing)
    }

    /// Takes `page` as the middle page for `pfn`, if there is none yet.
    ///
    /// Context: the caller holds the lock of the list.
    pub(crate) fn install_middle(&mut self, pfn: Pfn, page: &mut Option<OwnedPage>) {
        let Some(index) = layout::top_index(pfn) else {
            return;
        };
        if !self.lacks_middle(pfn) {
            return;
        }
        if let Some(page) = page.take() {
            let page = FramePage::new(page);
            // INVARIANT: Both words are set under the lock of the list, so nobody sees one without
            // the other.
            self.twin.set(index, page);
            self.top.set(index, mfn_of_page(page.table()));
        }
    }

    /// Sets the machine frame of the page of the list with the word of `pfn`.
    ///
    /// Context: the caller holds the lock of the list.
    pub(crate) fn set_leaf(&mut self, pfn: Pfn, leaf: Mfn) {
        let Some(index) = layout::top_index(pfn) else {
            return;
        };
        let middle = self.twin.get(index);
        if middle != self.missing {
            middle.set(layout::middle_index(pfn), leaf);
        }
    }

    /// Updates the machine frames of all pages.
    ///
    /// Context: the caller holds the lock of the list, or nobody else has the tree.
    pub(super) fn refresh(&mut self) {
        if let Some(leaf) = Shared::Missing.page().map(mfn_of_page) {
            for index in Index::all() {
                self.missing.set(index, leaf);
            }
        }
        for index in Index::all() {
            let middle = self.twin.get(index).table();
            self.top.set(index, mfn_of_page(middle));
        }
        for start in starts() {
            self.refresh_middle(start);
        }
    }

    /// Updates the middle page for the frames from `start` on, if there is one.
    fn refresh_middle(&mut self, start: Pfn) {
        if self.lacks_middle(start) {
            return;
        }
        let table = table_at(start);
        for leaf in Index::all() {
            let entry = table.entry(leaf).read();
            self.set_leaf(start.add(leaf.raw() * layout::FRAMES_PER_LEAF), entry.mfn());
        }
    }
}
