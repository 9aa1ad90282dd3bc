// SPDX-License-Identifier: GPL-2.0-only

//! Sets entries above level 1.
//!
//! Changes of tables that Xen knows are in effect on return, even in lazy MMU mode. Generic code
//! drops the lock that protects such an entry before its section ends (`zap_empty_pte_table()`), so
//! another thread that takes the lock would find the old table and free it again. There is one
//! exception: the section in which `mremap()` moves a whole table holds the locks of both entries
//! until it ends ([`table_move::is_going_on`]).

#![forbid(unsafe_code)]

use crate::entry::MachineEntry;
use crate::level::Level;
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::table_move;
use crate::platform::diag::report;
use crate::platform::diag::tracepoints;
use crate::platform::kernel::{
    address,
    kernel_data, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::{
    PinState,
    PinnedEntryPtr, //
};
use crate::platform::paging::root::RootEntryPtr;
use crate::platform::xen::abi::Command;
use crate::platform::xen::refusal::Refusal;
use kernel::macros::init_text;

/// Returns when a change of a table that Xen knows is issued.
fn issue() -> Issue {
    if table_move::is_going_on() {
        Issue::LazyMmu
    } else {
        Issue::Now
    }
}

/// Reports `entry`, which Xen would refuse because it maps a large page.
///
/// Code that sets such an entry has not checked whether large pages are supported. Nothing is
/// mapped, and the access that needed the mapping faults again.
#[cold]
fn refuse_huge(ptr: EntryPtr, entry: MachineEntry, level: Level, caller: CallContext<'_>) {
    const EINVAL: isize = -22;
    let what = match level {
        Level::L2 => c"large page in level 2",
        _ => c"large page above level 2",
    };
    let refusal = Refusal {
        what,
        target: ptr.vaddr().raw(),
        value: entry.raw(),
    };
    report::report_refusal(&refusal, EINVAL, caller.site());
}

/// Sets an entry of level 2 or 3.
///
/// A table that Xen does not know takes any entry, even one that maps a large page: kexec builds
/// tables that are used without Xen.
///
/// Context: any but NMIs; the caller holds the lock of the table, or nobody else uses the table.
pub(crate) fn set(ptr: EntryPtr, entry: MachineEntry, level: Level, caller: CallContext<'_>) {
    match ptr.pin_state() {
        PinState::Unpinned(ptr) => ptr.store(entry),
        PinState::Pinned(ptr) => set_known(ptr, entry, level, caller),
    }
}

/// Sets an entry of level 2.
///
/// Context: as [`set`].
pub(crate) fn set_pmd(ptr: EntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    set(ptr, entry, Level::L2, caller);
}

/// Sets an entry of level 2 or 3 of a table that Xen knows.
///
/// Context: as [`set`].
pub(crate) fn set_known(
    ptr: PinnedEntryPtr,
    entry: MachineEntry,
    level: Level,
    caller: CallContext<'_>,
) {
    let ptr = ptr.ptr();
    if entry.is_huge() {
        refuse_huge(ptr, entry, level, caller);
        return;
    }
    // The table may be mapped outside of the direct map while that is being made.
    let at = kernel_data::arbitrary_machine_address(ptr);
    Batch::open(issue(), caller).update(Command::Normal, at, entry);
}

/// Returns the entry of the user root that corresponds to an entry of a kernel root.
///
/// There is one only in the part of the address space that belongs to the process.
fn user_ptr(entry: RootEntryPtr) -> Option<EntryPtr> {
    let index = entry.ptr().index();

    if index >= address::user_end().index(Level::L4) {
        return None;
    }
    Some(entry.root().user_root()?.entry(index))
}

/// Sets an entry of a root table, of level 4, and the corresponding entry of the user root.
///
/// Context: any but NMIs; the caller holds `mm->page_table_lock`, or nobody else uses the tree.
pub(crate) fn set_root(at: RootEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    let (ptr, user) = (at.ptr(), user_ptr(at));
    tracepoints::set_p4d(ptr, user, entry);

    match ptr.pin_state() {
        PinState::Unpinned(ptr) => {
            ptr.store(entry);
            if let Some(user) = user {
                ptr.beside(user).store(entry);
            }
        }
        PinState::Pinned(_) if entry.is_huge() => refuse_huge(ptr, entry, Level::L4, caller),
        PinState::Pinned(ptr) => {
            // One call changes both entries.
            let mut batch = Batch::open(issue(), caller);
            for ptr in [Some(ptr), user.map(EntryPtr::assume_pinned)]
                .into_iter()
                .flatten()
            {
                let at = p2m::machine_address(ptr.ptr().vaddr());
                batch.update(Command::Normal, at, entry);
            }
        }
    }
}

/// Sets an entry of the kernel's root table before there are user roots.
///
/// Context: start of day.
#[init_text]
pub(crate) fn set_root_early(ptr: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    Batch::open(Issue::Now, caller).update(
        Command::Normal,
        p2m::machine_address(ptr.ptr().vaddr()),
        entry,
    );
}
