// SPDX-License-Identifier: GPL-2.0

//! Sets entries of page tables.
//!
//! A table that Xen does not know yet, that of a process under construction or on its way out, is
//! written to like any memory. The others are read-only, and changed by hypercalls that may wait
//! in the queue while the task is in lazy MMU mode.
//!
//! Whether a table is known to Xen is looked at under the lock that its users hold while they set
//! its entries, which is also held while that changes.

#![forbid(unsafe_code)]

use crate::addr::Vaddr;
use crate::entry::MachineEntry;
use crate::level::Level;
use crate::multicall::{
    is_queue_empty,
    update_later,
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::{
    arbitrary_machine_address,
    check_page_table_set,
    is_lazy_mmu_mode_active,
    mmu_update_one,
    refused,
    trace,
    update_va_mapping,
    user_end,
    Caller,
    Command,
    Early,
    KnownSlot,
    Mm,
    MmuUpdate,
    Place,
    RootSlot,
    Slot,
    VaFlush, //
};
use kernel::macros::init_text;

/// Sets an entry of a table that Xen knows, by a hypercall.
#[inline(always)]
pub(crate) fn update(command: Command, at: KnownSlot, entry: MachineEntry, caller: Caller<'_>) {
    let at = p2m::machine_address(at.slot().vaddr());
    if is_lazy_mmu_mode_active() {
        update_later(command, at, entry, caller);
        return;
    }
    // Anything in the queue comes first; an interrupt may find what the task has left there.
    if is_queue_empty() {
        let update = MmuUpdate::new(command, at, entry);
        if let Err(error) = mmu_update_one(update) {
            let (target, value) = update.raw();
            refused(c"mmu_update", target, value, error.errno(), caller.site());
        }
        return;
    }
    Batch::open(Issue::Now, caller).update(command, at, entry);
}

/// Sets the entry of level 1 that maps the page at `address` in `mm`, of a table that Xen knows.
#[inline(always)]
pub(crate) fn update_at(
    mm: Mm,
    address: Vaddr,
    at: KnownSlot,
    entry: MachineEntry,
    caller: Caller<'_>,
) {
    if is_lazy_mmu_mode_active() {
        let at = p2m::machine_address(at.slot().vaddr());
        update_later(Command::Normal, at, entry, caller);
    } else {
        update_now_at(mm, address, at, entry, caller);
    }
}

/// As [`update_at`], outside of lazy MMU mode.
///
/// Xen finds the entry by its address with less work than by its place. That is the same entry
/// only if the address space is the one that Xen has loaded, now and after any preemption, so that
/// it has to be the current task's own as well; no root may wait in the queue.
#[inline(never)]
fn update_now_at(mm: Mm, address: Vaddr, at: KnownSlot, entry: MachineEntry, caller: Caller<'_>) {
    let by_address = mm.is_loaded_here() && is_queue_empty();
    if by_address && update_va_mapping(address, entry, VaFlush::None).is_ok() {
        return;
    }
    // If Xen has refused, it says why again.
    update(Command::Normal, at, entry, caller);
}

/// Sets an entry of level 1.
///
/// Context: any; holds the lock of the table, or has it for itself.
#[inline(always)]
pub(crate) fn pte(slot: Slot, entry: MachineEntry, caller: Caller<'_>) {
    match slot.place() {
        Place::Known(slot) if entry.is_none() => clear(slot, entry, caller),
        Place::Known(slot) => update(Command::Normal, slot, entry, caller),
        Place::Private(slot) => slot.store(entry),
    }
}

/// Sets an entry of level 1, of a table that Xen knows, to one that is none.
///
/// An entry that is not present goes at once: whoever takes a page in the swap space away looks
/// whether the entry is empty by now (`cond_install_uffd_wp_ptes()`).
#[inline(never)]
fn clear(at: KnownSlot, entry: MachineEntry, caller: Caller<'_>) {
    let old = at.slot().read();
    if old.is_present() || old.is_none() {
        return update(Command::Normal, at, entry, caller);
    }
    let place = p2m::machine_address(at.slot().vaddr());
    Batch::open(Issue::Now, caller).update(Command::Normal, place, entry);
}

/// Sets an entry of level 1 while the first page tables are made.
///
/// Most of these tables are known to nobody yet, and writable; the write to one that Xen knows is
/// emulated. The fixed mappings are the exception, as they may be used before Xen is told to.
///
/// Context: start of day.
#[init_text]
pub(crate) fn pte_early(early: Early, slot: Slot, entry: MachineEntry, caller: Caller<'_>) {
    if crate::platform::is_early_ioremap(slot) {
        update(Command::Normal, slot.known(), entry, caller);
    } else {
        slot.early(early).store(entry);
    }
}

/// Changes the protection of a present entry of level 1, and keeps what the CPU notes in it.
///
/// A page of another domain that is to become writable, read-only or inaccessible is unmapped.
///
/// Context: holds the lock of the table.
#[inline(always)]
pub(crate) fn modify_protection(
    mm: Mm,
    address: Vaddr,
    slot: Slot,
    entry: MachineEntry,
    caller: Caller<'_>,
) {
    let (command, entry) = match entry.has_lost_frame() {
        true => (Command::Normal, slot.read().with_flags_of(entry)),
        false => (Command::PreserveAd, entry),
    };
    // The generic pair reports to the checker what it takes out and what it puts in; here the old
    // entry stays until the new one replaces it.
    check_page_table_set(mm, address, slot, entry);
    update(command, slot.known(), entry, caller);
}

/// Whether Xen would refuse `entry` above level 1 because it maps a large page; reports it.
///
/// Generic code that asks for one has not checked whether the machine has them. Nothing is mapped,
/// and the access that wanted it faults again.
#[cold]
fn refuse_huge(slot: Slot, entry: MachineEntry, level: Level, caller: Caller<'_>) {
    const EINVAL: isize = -22;
    let what = match level {
        Level::L2 => c"large page in level 2",
        _ => c"large page above level 2",
    };
    refused(what, slot.vaddr().raw(), entry.raw(), EINVAL, caller.site());
}

/// Sets an entry of level 2 or 3.
///
/// Context: any; holds the lock of the table, or has it for itself.
pub(crate) fn upper(slot: Slot, entry: MachineEntry, level: Level, caller: Caller<'_>) {
    match slot.place() {
        Place::Private(slot) if !entry.is_huge() => slot.store(entry),
        _ => upper_by_hypercall(slot.known(), entry, level, caller),
    }
}

/// Sets an entry of level 2.
///
/// Context: as [`upper`].
pub(crate) fn pmd(slot: Slot, entry: MachineEntry, caller: Caller<'_>) {
    upper(slot, entry, Level::L2, caller);
}

/// Sets an entry of level 2 or 3 of a table that Xen knows.
///
/// Context: any.
pub(crate) fn upper_by_hypercall(
    slot: KnownSlot,
    entry: MachineEntry,
    level: Level,
    caller: Caller<'_>,
) {
    let slot = slot.slot();
    if entry.is_huge() {
        refuse_huge(slot, entry, level, caller);
        return;
    }
    // The table may be mapped outside of the direct map while that is being made.
    let at = arbitrary_machine_address(slot.vaddr());
    Batch::open(Issue::LazyMmu, caller).update(Command::Normal, at, entry);
}

/// Returns the entry of the user root that goes with an entry of a kernel root.
///
/// Only the part of the address space that belongs to the process has one.
fn user_slot(entry: RootSlot) -> Option<Slot> {
    let index = entry.slot().index();

    if index >= user_end().index(Level::L4) {
        return None;
    }
    Some(entry.root().user_root()?.entry(index))
}

/// Sets an entry of a root table, of level 4, and that of the user root that goes with it.
///
/// Context: any; holds `mm->page_table_lock`, or has the tree for itself.
pub(crate) fn root(at: RootSlot, entry: MachineEntry, caller: Caller<'_>) {
    let (slot, user) = (at.slot(), user_slot(at));
    trace::set_p4d(slot, user, entry);

    if entry.is_huge() {
        refuse_huge(slot, entry, Level::L4, caller);
        return;
    }
    match slot.place() {
        Place::Private(slot) => {
            slot.store(entry);
            if let Some(user) = user {
                slot.beside(user).store(entry);
            }
        }
        Place::Known(slot) => {
            // Both or neither: the two go into one call.
            let mut batch = Batch::open(Issue::LazyMmu, caller);
            for slot in [Some(slot), user.map(Slot::known)].into_iter().flatten() {
                let at = p2m::machine_address(slot.slot().vaddr());
                batch.update(Command::Normal, at, entry);
            }
        }
    }
}

/// Sets an entry of the kernel's root table before there can be user roots.
///
/// Context: start of day.
#[init_text]
pub(crate) fn root_early(slot: KnownSlot, entry: MachineEntry, caller: Caller<'_>) {
    Batch::open(Issue::LazyMmu, caller).update(
        Command::Normal,
        p2m::machine_address(slot.slot().vaddr()),
        entry,
    );
}
