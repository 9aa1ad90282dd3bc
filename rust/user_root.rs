// SPDX-License-Identifier: GPL-2.0

//! Root tables for user mode.
//!
//! The kernel and its processes both run unprivileged under Xen: user mode gets a tree without
//! the kernel's mappings. Its root has the entries of the process's part, those of the other root,
//! and that of the vsyscall page, which lies among the kernel's.
//!
//! Xen looks at each entry of a root when it is pinned and again when it is unpinned, most of them
//! empty, which takes longer than to set the few that are not. So a user root is pinned when it is
//! made and stays so. The process's part is filled while the tree is pinned and empty otherwise.
//! When the process is gone, its user root waits for the next process.
//!
//! One may wait only if
//!
//! - it is empty: else it would show one process's memory to another. Xen may have refused to clear
//!   an entry.
//! - no vCPU has it loaded: one that has would run with what comes next. The tree is dropped from
//!   all of them before it is unpinned ([`crate::pin::exit`]), both roots at once.
//!
//! The price is that Xen flushes TLBs on all CPUs of the domain when a live root changes: once to
//! fill it, and once for each entry that is cleared, of which a small process has two or three.
//!
//! It is no burden to a suspend: tables that are pinned are what the toolstack expects.

#![forbid(unsafe_code)]

use crate::addr::Index;
use crate::alloc::{
    mfn_of_table,
    protect_page, //
};
use crate::convert;
use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::level::Level;
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::{
    reuses_user_roots,
    user_end,
    user_vsyscall_table,
    Caller,
    Command,
    ExtOp,
    IrqLock,
    MaySleep,
    Mm,
    OwnedPage,
    Root,
    RunTime,
    Table,
    TablePage,
    VaFlush,
    VSYSCALL, //
};
use kernel::macros::init_text;

/// How many user roots wait at most.
///
/// Processes end about as often as they begin, so that few suffice. They are not many enough to be
/// given back when memory is short.
const MAX_SPARES: usize = 16;

/// User roots without a process: pinned, empty but for the vsyscall page, and not loaded.
static SPARES: IrqLock<[Option<OwnedPage>; MAX_SPARES]> =
    IrqLock::new(c"xen_user_roots", [const { None }; MAX_SPARES]);

/// There is no memory for a user root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoMemory;

/// Gets ready for the first process.
///
/// Context: start of day.
#[init_text]
pub(crate) fn init() {
    SPARES.init();
}

/// Gives the new root table of `mm` a user root.
///
/// Context: may sleep.
pub(crate) fn create(mm: Mm, sleep: &mut MaySleep) -> Result<(), NoMemory> {
    let now = RunTime::now().ok_or(NoMemory)?;
    let spare = SPARES.with(|spares| spares.iter_mut().find_map(Option::take));
    let user_root = match spare {
        Some(spare) => spare,
        None => pinned(now, sleep)?,
    };
    mm.root().set_user_root(now, user_root);
    Ok(())
}

/// Makes a user root.
fn pinned(now: RunTime, sleep: &mut MaySleep) -> Result<OwnedPage, NoMemory> {
    let mut page = OwnedPage::zeroed(sleep).ok_or(NoMemory)?;

    if let Some(table) = user_vsyscall_table() {
        let entry = PseudoEntry::from_raw(table.pfn().paddr().raw() | bits::USER_TABLE);
        page.set_entry(VSYSCALL.index(Level::L4), convert::to_machine(entry));
    }
    TablePage::of(now, page.pfn()).test_set_pinned();
    let mut batch = Batch::open(Issue::Now, sleep.caller());
    protect_page(&mut batch, page.pfn(), false, VaFlush::None);
    batch.ext(ExtOp::pin(Level::L4, mfn_of_table(page.pfn())));
    Ok(page)
}

/// Takes the user root that goes with `root` away, if there is one.
///
/// Context: the tree is not used by any vCPU and not pinned.
pub(crate) fn free(root: Root, caller: Caller<'_>) {
    let is_empty = root
        .user_root()
        .is_some_and(|table| process_part(table).next().is_none());
    let Some(user_root) = root.take_user_root() else {
        return;
    };
    let rest = if is_empty && reuses_user_roots() {
        keep(user_root)
    } else {
        Some(user_root)
    };
    if let Some(user_root) = rest {
        unpin(user_root, caller);
    }
}

/// Lets a user root wait; returns it if enough do already.
fn keep(user_root: OwnedPage) -> Option<OwnedPage> {
    SPARES.with(
        |spares| match spares.iter_mut().find(|spare| spare.is_none()) {
            Some(place) => place.replace(user_root),
            None => Some(user_root),
        },
    )
}

/// Frees the page of a user root.
fn unpin(page: OwnedPage, caller: Caller<'_>) {
    if let Some(now) = RunTime::now() {
        TablePage::of(now, page.pfn()).test_clear_pinned();
    }
    let mut batch = Batch::open(Issue::Now, caller);
    batch.ext(ExtOp::unpin(mfn_of_table(page.pfn())));
    protect_page(&mut batch, page.pfn(), true, VaFlush::None);
    drop(batch);
    drop(page);
}

/// Returns the entries of a root that map the process's part of the address space.
fn process_part(root: Table) -> impl Iterator<Item = (Index, MachineEntry)> {
    let mut rest = 0..user_end().index(Level::L4).raw();
    core::iter::from_fn(move || {
        let (index, entry) = root.next_present(rest.clone())?;
        rest.start = index.raw() + 1;
        Some((index, entry))
    })
}

fn set(batch: &mut Batch<'_>, user_root: Table, index: Index, entry: MachineEntry) {
    let at = p2m::machine_address(user_root.entry(index).vaddr());
    batch.update(Command::Normal, at, entry);
}

/// Queues to hook the tree below `root` up in its user root.
///
/// Context: the tree is pinned, or that is queued; it does not change meanwhile.
pub(crate) fn fill(batch: &mut Batch<'_>, root: Root) {
    let Some(user_root) = root.user_root() else {
        return;
    };
    for (index, entry) in process_part(root.table()) {
        set(batch, user_root, index, entry);
    }
}

/// Queues to take the tree below `root` out of its user root.
///
/// That comes before unpinning the tree: each table still has the reference of the other root, so
/// that Xen only counts and does not look into it.
///
/// Context: no vCPU uses the tree, and it does not change meanwhile.
pub(crate) fn clear(batch: &mut Batch<'_>, root: Root) {
    let Some(user_root) = root.user_root() else {
        return;
    };
    for (index, _) in process_part(user_root) {
        set(batch, user_root, index, MachineEntry::EMPTY);
    }
}

/// Calls `visit` for each user root without a process.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(crate) fn for_each_spare(mut visit: impl FnMut(TablePage)) {
    let Some(now) = RunTime::now() else {
        return;
    };
    SPARES.with(|spares| {
        for spare in spares.iter().flatten() {
            visit(TablePage::of(now, spare.pfn()));
        }
    });
}

/// Frees all user roots without a process.
#[cfg(test)]
pub(crate) fn free_spares(caller: Caller<'_>) {
    while let Some(spare) = SPARES.with(|spares| spares.iter_mut().find_map(Option::take)) {
        unpin(spare, caller);
    }
}
