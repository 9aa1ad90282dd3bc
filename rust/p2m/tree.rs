// SPDX-License-Identifier: GPL-2.0

//! The tree of frame lists, by which older toolstacks find the p2m list.
//!
//! Its pages hold machine frames: the top page those of the middle pages, these those of the
//! pages of the list. All machine frames change when the domain moves to another host, so a twin
//! of the top page keeps the addresses of the middle pages.

use crate::addr::{
    Vaddr,
    ENTRIES, //
};
use crate::frame::{
    Mfn,
    Pfn, //
};
use crate::p2m::build::Shared;
use crate::p2m::layout::{
    self,
    FRAMES_IN_TREE,
    FRAMES_PER_MIDDLE, //
};
use crate::p2m::{
    grow,
    leaf_slot,
    machine_address, //
};
use crate::platform::{
    die,
    kernel_root,
    xen_max_p2m_pfn,
    xen_p2m_addr,
    OwnedPage,
    SharedP2m,
    Slot,
    StartInfo, //
};

/// The tree.
///
/// # Invariants
///
/// - `top`, `twin` and `missing` are pages that stay allocated.
/// - Word `i` of `twin` is the address of the middle page whose machine frame is in word `i` of
///   `top`; it is `missing` where nothing is described.
pub(crate) struct Tree {
    top: Vaddr,
    twin: Vaddr,
    missing: Vaddr,
}

fn mfn_of_page(page: Vaddr) -> Mfn {
    Mfn::new(machine_address(page).raw() >> crate::addr::PAGE_SHIFT)
}

fn word(page: Vaddr, index: usize) -> Slot {
    // SAFETY: The pages of the tree stay allocated, by the type invariant of `Tree`.
    unsafe { Slot::in_table(page, index) }
}

fn read_word(page: Vaddr, index: usize) -> usize {
    word(page, index).read().raw()
}

fn write_word(page: Vaddr, index: usize, value: usize) {
    word(page, index).store(crate::entry::MachineEntry::from_raw(value));
}

/// Returns a page that is to become a middle page, with nothing described.
pub(crate) fn new_middle() -> Option<OwnedPage> {
    let leaf = mfn_of_page(Shared::Missing.page()).raw();
    let mut page = OwnedPage::new()?;
    page.fill(|_| leaf);
    Some(page)
}

impl Tree {
    fn new() -> Option<Self> {
        let missing = new_middle()?.leak();
        let mfn = mfn_of_page(missing).raw();
        let mut top = OwnedPage::new()?;
        let mut twin = OwnedPage::new()?;
        top.fill(|_| mfn);
        twin.fill(|_| missing.raw());
        // INVARIANT: All three are kept for good, and every middle page is `missing`.
        Some(Self {
            top: top.leak(),
            twin: twin.leak(),
            missing,
        })
    }

    /// Whether there is no middle page for `pfn` yet, although the tree reaches that far.
    pub(crate) fn lacks_middle(&self, pfn: Pfn) -> bool {
        layout::top_index(pfn)
            .is_some_and(|index| read_word(self.twin, index) == self.missing.raw())
    }

    /// Takes `page` as the middle page for `pfn`, if there is none yet.
    pub(crate) fn install_middle(&mut self, pfn: Pfn, page: &mut Option<OwnedPage>) {
        let Some(index) = layout::top_index(pfn) else {
            return;
        };
        if !self.lacks_middle(pfn) {
            return;
        }
        if let Some(page) = page.take() {
            let page = page.leak();
            // INVARIANT: The twin is set first and both under the lock of the list, so that
            // nobody sees one without the other.
            write_word(self.twin, index, page.raw());
            write_word(self.top, index, mfn_of_page(page).raw());
        }
    }

    /// Notes that the leaf for `pfn` is in machine frame `leaf`.
    pub(crate) fn set_leaf(&mut self, pfn: Pfn, leaf: Mfn) {
        let Some(index) = layout::top_index(pfn) else {
            return;
        };
        let middle = Vaddr::new(read_word(self.twin, index));
        if middle != self.missing {
            write_word(middle, layout::middle_index(pfn), leaf.raw());
        }
    }

    /// Fills in the machine frames of all pages, as they are now.
    fn refresh(&mut self) {
        let leaf = mfn_of_page(Shared::Missing.page()).raw();

        for index in 0..ENTRIES {
            write_word(self.missing, index, leaf);
        }
        for index in 0..ENTRIES {
            let middle = Vaddr::new(read_word(self.twin, index));
            write_word(self.top, index, mfn_of_page(middle).raw());
        }
        let end = xen_max_p2m_pfn.get().min(FRAMES_IN_TREE);
        for start in (0..end).step_by(FRAMES_PER_MIDDLE) {
            self.refresh_middle(Pfn::new(start));
        }
    }

    /// Fills in the middle page for the frames from `start` on.
    fn refresh_middle(&mut self, start: Pfn) {
        let Some(slot) = leaf_slot(start) else {
            die(c"the p2m list is not mapped by pages");
        };
        if self.lacks_middle(start) {
            if Shared::of_table(slot.table()).is_some() {
                return;
            }
            // Only on the first call, when memblock gives it out without sleeping: later there is
            // a middle page before there is a table of the list's own.
            let mut page = new_middle();
            if page.is_none() {
                die(c"no memory for the p2m tree");
            }
            self.install_middle(start, &mut page);
        }
        for leaf in 0..ENTRIES {
            // SAFETY: The tables that map the list are never freed.
            let slot = unsafe { Slot::in_table(slot.table(), leaf) };
            self.set_leaf(start.add(leaf * layout::FRAMES_PER_LEAF), slot.read().mfn());
        }
    }
}

/// Builds the tree or, after a resume, fills in the machine frames of this host
/// (`xen_build_mfn_list_list()`).
///
/// Context: start of day, or alone on the machine during a suspend.
pub(crate) fn build() {
    if StartInfo::tools_know_linear_list() {
        return;
    }
    let fresh = if grow::with_list(|list| list.tree.is_none()) {
        Tree::new()
    } else {
        None
    };
    grow::with_list(|list| {
        if list.tree.is_none() {
            list.tree = fresh;
        }
        match &mut list.tree {
            Some(tree) => tree.refresh(),
            None => die(c"no memory for the p2m tree"),
        }
    });
}

/// Publishes the list and the tree to the toolstack (`xen_setup_mfn_list_list()`).
///
/// Context: as [`build`], with the real `shared_info` mapped.
pub(crate) fn publish() {
    if !SharedP2m::is_real() {
        die(c"shared_info is not mapped");
    }
    grow::with_list(|list| {
        SharedP2m::publish(
            list.tree.as_ref().map(|tree| mfn_of_page(tree.top)),
            list.last_frame,
            Vaddr::new(xen_p2m_addr.get()),
            mfn_of_page(kernel_root()),
        );
    });
}
