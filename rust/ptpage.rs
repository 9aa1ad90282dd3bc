// SPDX-License-Identifier: GPL-2.0-only

//! Makes pages page tables, and page tables ordinary pages.
//!
//! Before a table is linked into a tree that Xen knows, all mappings of it have to be read-only.
//! Tables of level 1 that have locks of their own are pinned as well, so that their entries can be
//! set before they are linked.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Pfn, //
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
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::diag::report;
use crate::platform::diag::tracepoints;
use crate::platform::early::phase::RunTime;
use crate::platform::kernel::address;
use crate::platform::kernel::kernel_data;
use crate::platform::kernel::layout::VSYSCALL;
use crate::platform::kernel::mm::{
    Mm,
    SPLIT_PTE_LOCKS, //
};
use crate::platform::paging::pages::{
    OwnedPage,
    TablePage, //
};
use crate::platform::paging::pin_state;
use crate::platform::paging::root::Root;
use crate::platform::xen::abi::{
    ExtOp,
    VaFlush, //
};
use crate::platform::xen::hypercall;
use crate::{
    convert,
    direct_map,
    p2m, //
};
use kernel::macros::init_text;

/// Returns the machine frame of a page that holds a table.
///
/// Context: any.
pub(crate) fn mfn_of_table(pfn: Pfn) -> Mfn {
    // Every page of RAM that is in use has one. Otherwise Xen refuses the frame of all ones.
    p2m::mfn_of(pfn).unwrap_or(Mfn::new(usize::MAX))
}

/// Whether tables of `level` have pins of their own.
fn is_pinned_alone(level: Level) -> bool {
    SPLIT_PTE_LOCKS && level == Level::L1
}

/// Makes `pfn` a table of `level`, which the caller will link into the tree of `mm`.
///
/// Does nothing if Xen knows the table already, because generic code moves whole tables. Effective
/// on return.
///
/// Context: any but NMIs; nobody else uses the page.
pub(crate) fn alloc(mm: Mm, pfn: Pfn, level: Level, caller: CallContext<'_>) {
    let pinned = pin_state::is_table_pinned(mm.root().table());
    tracepoints::alloc_ptpage(mm, pfn, level, pinned);
    if !pinned {
        return;
    }
    if RunTime::now().is_some_and(|now| TablePage::of(now, pfn).test_set_pinned()) {
        return;
    }
    let mut batch = Batch::open(Issue::Now, caller);
    direct_map::protect(&mut batch, pfn, address::kernel_ro(), VaFlush::None);
    if is_pinned_alone(level) {
        batch.ext(ExtOp::pin(Level::L1, mfn_of_table(pfn)));
    }
}

/// Makes `pfn`, a table of `level` that is no longer linked, an ordinary page.
///
/// Effective on return: the caller may write to the page at once.
///
/// Context: any but NMIs; nobody else uses the page.
pub(crate) fn release(pfn: Pfn, level: Level, caller: CallContext<'_>) {
    let pinned = RunTime::now().is_none_or(|now| TablePage::of(now, pfn).test_clear_pinned());
    tracepoints::release_ptpage(pfn, level, pinned);
    if !pinned {
        return;
    }
    let mut batch = Batch::open(Issue::Now, caller);
    if is_pinned_alone(level) {
        batch.ext(ExtOp::unpin(mfn_of_table(pfn)));
    }
    direct_map::protect(&mut batch, pfn, address::kernel_rw(), VaFlush::None);
}

/// Pins `pfn` as a table of `level`, or stops the boot.
///
/// Context: start of day.
#[init_text]
pub(crate) fn pin_early(level: Level, pfn: Pfn) {
    let mfn = mfn_of_table(pfn);
    if let Err(error) = hypercall::mmuext_op(ExtOp::pin(level, mfn)) {
        report::die_refused(
            c"Xen refused to pin a page table",
            c"mmuext_op",
            mfn.raw(),
            error,
        );
    }
}

/// Drops the pin of `pfn`, or stops the boot.
///
/// Context: start of day.
#[init_text]
pub(crate) fn unpin_early(pfn: Pfn) {
    let mfn = mfn_of_table(pfn);
    if let Err(error) = hypercall::mmuext_op(ExtOp::unpin(mfn)) {
        report::die_refused(
            c"Xen refused to unpin a page table",
            c"mmuext_op",
            mfn.raw(),
            error,
        );
    }
}

/// Makes `pfn` a table of `level` while all tables are the kernel's own.
///
/// Context: start of day.
#[init_text]
pub(crate) fn alloc_early(pfn: Pfn, level: Level, caller: CallContext<'_>) {
    direct_map::make_readonly(address::pfn_to_virt(pfn), caller);
    if level == Level::L1 {
        pin_early(level, pfn);
    }
}

/// Makes `pfn` an ordinary page while all tables are the kernel's own.
///
/// Context: start of day.
#[init_text]
pub(crate) fn release_early(pfn: Pfn, level: Level, caller: CallContext<'_>) {
    if level == Level::L1 {
        unpin_early(pfn);
    }
    direct_map::make_readwrite(address::pfn_to_virt(pfn), caller);
}

/// There is no memory for a user root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoMemory;

/// Gives the new root table of `mm` a user root, or returns [`NoMemory`].
///
/// Under Xen both the kernel and its processes run unprivileged, so user mode has a tree without
/// the kernel's mappings. The vsyscall page, which is in the kernel's part, is in that tree as
/// well.
///
/// Context: may sleep.
pub(crate) fn create_user_root(mm: Mm, sleep: &mut MaySleep) -> Result<(), NoMemory> {
    let mut user_root = OwnedPage::zeroed(sleep).ok_or(NoMemory)?;

    if let Some(table) = kernel_data::user_vsyscall_table() {
        let entry = PseudoEntry::from_raw(table.pfn().paddr().raw() | bits::USER_TABLE);
        user_root.set_entry(VSYSCALL.index(Level::L4), convert::to_machine(entry));
    }
    mm.root().set_user_root(user_root).map_err(|_| NoMemory)
}

/// Frees the user root of `root`, if there is one.
///
/// Context: no vCPU uses the tree, and it is not pinned.
pub(crate) fn free_user_root(root: Root) {
    drop(root.take_user_root());
}
