// SPDX-License-Identifier: GPL-2.0-only

//! Grows the p2m list: replaces shared tables and pages by the list's own.
//!
//! Memory is allocated without any lock. Then the need for it is checked again under the lock of
//! the list, so several CPUs may grow the same part at once. A CPU that loses the race frees its
//! page. Everything that the toolstack may read changes under this one lock.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    PseudoEntry, //
};
use crate::level::Level;
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m::list::{
    with_list,
    List, //
};
use crate::p2m::shared::Shared;
use crate::p2m::{
    layout,
    leaf_ptr,
    machine_address,
    mfn_of,
    tree,
    try_set, //
};
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::early::start_of_day::SharedP2m;
use crate::platform::kernel::address;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::{
    self,
    EntryPtr, //
};
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::{
    Command,
    ExtOp, //
};
use crate::platform::xen::machine_map;
use crate::{
    convert,
    ptpage, //
};

/// Memory is short, Xen has refused, or the frame is beyond the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CannotGrow;

/// A change of the mapping or of the length of the list. The generation is odd while this exists.
///
/// # Invariants
///
/// The lock of the list is held.
struct Update<'list> {
    list: &'list mut List,
}

impl<'list> Update<'list> {
    fn begin(list: &'list mut List) -> Self {
        SharedP2m::next_generation();
        // INVARIANT: A `List` is only reached with its lock held.
        Self { list }
    }

    /// Sets an entry of a table that maps the list, and flushes `page` from all TLBs.
    ///
    /// Returns whether Xen has set the entry. If not, the refusal was reported, and the old entry
    /// is still there.
    fn set(
        &mut self,
        ptr: EntryPtr,
        entry: PseudoEntry,
        page: Vaddr,
        caller: CallContext<'_>,
    ) -> bool {
        let entry = convert::to_machine(entry);
        {
            let mut batch = Batch::open(Issue::Now, caller);
            batch.update(Command::Normal, machine_address(ptr.vaddr()), entry);
            // Without the flush, a CPU could go on reading the shared page, and miss new words.
            batch.ext(ExtOp::flush_page_all(page));
        }
        ptr.read().mfn() == entry.mfn()
    }

    /// Enters `leaf`, which is now the list's own page with the word of `pfn`, into the tree.
    fn add_leaf(&mut self, pfn: Pfn, leaf: Mfn) {
        if let Some(tree) = &mut self.list.tree {
            tree.set_leaf(pfn, leaf);
        }
        // A reader that reads the length between two reads of the same even generation has the
        // whole list. Xen's own toolstack reads the length first, and the generation afterwards, if
        // at all.
        if pfn.raw() >= self.list.last_frame {
            self.list.last_frame = layout::round_to_leaves(pfn.raw() + 1);
            SharedP2m::set_nr_frames(self.list.last_frame);
        }
    }
}

impl Drop for Update<'_> {
    fn drop(&mut self) {
        SharedP2m::next_generation();
    }
}

/// Stores `word` for `pfn`; the list grows if necessary (`set_phys_to_machine()`).
///
/// If it cannot grow, the error is [`CannotGrow`], and the old word stays.
///
/// Context: may sleep if the list has to grow.
#[inline(always)]
pub(crate) fn set(pfn: Pfn, word: P2mWord, sleep: &mut MaySleep) -> Result<(), CannotGrow> {
    if try_set(pfn, word) {
        return Ok(());
    }
    grow_and_set(pfn, word, sleep)
}

#[cold]
fn grow_and_set(pfn: Pfn, word: P2mWord, sleep: &mut MaySleep) -> Result<(), CannotGrow> {
    grow(pfn, sleep)?;
    try_set(pfn, word).then_some(()).ok_or(CannotGrow)
}

/// Makes the word of `pfn` writable (`xen_alloc_p2m_entry()`), or returns [`CannotGrow`].
///
/// Context: may sleep.
pub(crate) fn grow(pfn: Pfn, sleep: &mut MaySleep) -> Result<(), CannotGrow> {
    if machine_map::p2m_load(pfn).is_none() {
        return Err(CannotGrow);
    }
    // The tree grows first. So each table of the list's own has its middle page, and none has to
    // be allocated on resume.
    own_middle(pfn, sleep)?;
    own_table(pfn, sleep)?;
    own_leaf(pfn, sleep)
}

/// Replaces the table of level 1 above the word of `pfn` if it is shared.
fn own_table(pfn: Pfn, sleep: &mut MaySleep) -> Result<(), CannotGrow> {
    let page = machine_map::p2m_word_address(pfn).page_start();
    let ptr = leaf_ptr(pfn).ok_or(CannotGrow)?;
    let shared = ptr.table();
    if Shared::of_table(shared).is_none() {
        return Ok(());
    }
    let mut table = OwnedPage::new(sleep).ok_or(CannotGrow)?;
    table.copy_from(shared);
    let above = entry_ptr::lookup_level2(page).ok_or(CannotGrow)?;
    let entry = PseudoEntry::from_raw(table.pfn().paddr().raw() | bits::KERNEL_TABLE);

    let caller = sleep.caller();
    // Xen has to know the table before it is linked.
    ptpage::alloc(Mm::kernel(), table.pfn(), Level::L1, caller);
    let taken = with_list(caller, |list| {
        let current = leaf_ptr(pfn).map(EntryPtr::table);
        current == Some(shared) && Update::begin(list).set(above, entry, page, caller)
    });
    if taken {
        table.leak();
    } else {
        ptpage::release(table.pfn(), Level::L1, caller);
    }
    // If the table was not taken, another CPU was faster, or Xen has refused the change. In the
    // latter case the list cannot grow here, because a shared table must not change.
    match leaf_ptr(pfn).map(|ptr| Shared::of_table(ptr.table())) {
        Some(None) => Ok(()),
        _ => Err(CannotGrow),
    }
}

/// Adds a middle page for `pfn` to the tree, if it lacks one.
fn own_middle(pfn: Pfn, sleep: &mut MaySleep) -> Result<(), CannotGrow> {
    let lacks_middle = with_list(sleep.caller(), |list| {
        list.tree
            .as_ref()
            .is_some_and(|tree| tree.lacks_middle(pfn))
    });
    if !lacks_middle {
        return Ok(());
    }
    let mut page = Some(tree::new_middle(sleep).ok_or(CannotGrow)?);
    with_list(sleep.caller(), |list| {
        if let Some(tree) = &mut list.tree {
            tree.install_middle(pfn, &mut page);
        }
    });
    Ok(())
}

/// Replaces the page of the list with the word of `pfn` if it is shared.
fn own_leaf(pfn: Pfn, sleep: &mut MaySleep) -> Result<(), CannotGrow> {
    let ptr = leaf_ptr(pfn).ok_or(CannotGrow)?;
    let Some(shared) = Shared::of_leaf(ptr) else {
        return Ok(());
    };
    let start = layout::leaf_start(pfn);
    let mut page = OwnedPage::new(sleep).ok_or(CannotGrow)?;
    page.fill(|offset| match shared {
        Shared::Missing => P2mWord::MISSING.raw(),
        Shared::Identity => P2mWord::identity(start.add(offset)).raw(),
    });
    let leaf = mfn_of(page.pfn()).ok_or(CannotGrow)?;
    let entry = PseudoEntry::new(page.pfn(), address::kernel_rw());

    let caller = sleep.caller();
    with_list(caller, |list| {
        if Shared::of_leaf(ptr) != Some(shared) {
            return;
        }
        let mut update = Update::begin(list);
        let page_of_list = machine_map::p2m_word_address(pfn).page_start();
        if update.set(ptr, entry, page_of_list, caller) {
            update.add_leaf(pfn, leaf);
            page.leak();
        }
    });
    match Shared::of_leaf(ptr) {
        None => Ok(()),
        Some(_) => Err(CannotGrow),
    }
}
