// SPDX-License-Identifier: GPL-2.0-only

//! The counterpart of the kernel's `ops`: the operations that generic code calls, in both phases.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::guest::generic;
use crate::level::{
    Level,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::PreemptOff;
use crate::platform::cpu::table_move;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::{
    early,
    host, //
};
use crate::platform::machine::memory::store;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::root::{
    Root,
    RootEntryPtr, //
};
use crate::platform::xen::machine_map::ReadMostly;
use crate::pte::PteRange;
use crate::{
    convert,
    cr3,
    multicall,
    pte,
    ptpage,
    upper, //
};
use xen_model::Store;

static IS_RUN_TIME: ReadMostly = ReadMostly::new(0);

fn is_run_time() -> bool {
    IS_RUN_TIME.get() != 0
}

/// Installs the run-time table of operations.
pub(crate) fn install_run_time() {
    IS_RUN_TIME.set(1);
}

/// `make_pte`
pub(crate) fn make_pte(entry: PseudoEntry) -> MachineEntry {
    if is_run_time() {
        convert::to_machine(entry)
    } else {
        convert::to_machine_early(entry)
    }
}

/// `set_pte`
#[track_caller]
pub(crate) fn set_pte(ptr: EntryPtr, entry: MachineEntry) {
    let caller = CallContext::here();
    if is_run_time() {
        pte::set_now(ptr, entry, caller);
    } else {
        pte::set_early(early(), ptr, entry, caller);
    }
}

/// `set_ptes`, for one entry or, without optimisations, `set_pte`
#[track_caller]
pub(crate) fn set_pte_at(mm: Mm, address: Vaddr, ptr: EntryPtr, entry: MachineEntry) {
    if Switch::Sets.is_on() {
        return set_run(mm, address, ptr, 1, entry);
    }
    set_pte(ptr, entry);
}

/// `set_ptes`
#[track_caller]
pub(crate) fn set_run(mm: Mm, address: Vaddr, ptr: EntryPtr, count: usize, entry: MachineEntry) {
    pte::set(
        mm,
        address,
        PteRange::new(ptr, count),
        entry,
        CallContext::here(),
    );
}

/// `set_pmd`, `set_pud` or `set_p4d`
#[track_caller]
pub(crate) fn set_upper(ptr: EntryPtr, level: Level, entry: MachineEntry) {
    let caller = CallContext::here();
    match (level, is_run_time()) {
        (Level::L4, true) => upper::set_root(RootEntryPtr::at(ptr), entry, caller),
        (Level::L4, false) => upper::set_root_early(ptr.assume_pinned(), entry, caller),
        (level, true) => upper::set(ptr, entry, level, caller),
        (level, false) => upper::set_known(ptr.assume_pinned(), entry, level, caller),
    }
}

/// `alloc_pte`, `alloc_pmd` or `alloc_pud`
#[track_caller]
pub(crate) fn alloc_table(mm: Mm, pfn: Pfn, level: Level) {
    if is_run_time() {
        ptpage::alloc(mm, pfn, level, CallContext::here());
    } else {
        ptpage::alloc_early(pfn, level, CallContext::here());
    }
}

/// `release_pte`, `release_pmd` or `release_pud`
#[track_caller]
pub(crate) fn release_table(pfn: Pfn, level: Level) {
    if is_run_time() {
        ptpage::release(pfn, level, CallContext::here());
    } else {
        ptpage::release_early(pfn, level, CallContext::here());
    }
}

/// `write_cr3`
#[track_caller]
pub(crate) fn write_cr3(root: Root) {
    let _preempt = PreemptOff::new(CallContext::here());
    if is_run_time() {
        cr3::write(root, CallContext::here());
    } else {
        cr3::write_early(root.table().pfn(), CallContext::here());
    }
}

static SWITCHED_OFF: ReadMostly = ReadMostly::new(0);

/// An optimisation that the boot parameter `xen_pv_mmu_off` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Switch {
    /// Entries are cleared by hypercalls.
    Takes = 1,
    /// Entries are write-protected by hypercalls.
    WriteProtects = 2,
    /// Entries are set by address.
    Sets = 4,
    /// Roots are loaded at once.
    Loads = 8,
}

impl Switch {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Takes, Self::WriteProtects, Self::Sets, Self::Loads];

    /// Switches it off.
    pub(crate) fn off(self) {
        SWITCHED_OFF.set(SWITCHED_OFF.get() | self as usize);
    }

    /// Whether it is on.
    pub(crate) fn is_on(self) -> bool {
        SWITCHED_OFF.get() & self as usize == 0
    }
}

/// `ptep_get_and_clear`
#[track_caller]
pub(crate) fn get_and_clear(mm: Mm, address: Vaddr, ptr: EntryPtr) -> MachineEntry {
    if Switch::Takes.is_on() {
        return pte::get_and_clear(mm, address, ptr, CallContext::here());
    }
    generic::change_entry(ptr, Store::Exchange(0))
}

/// `get_and_clear_ptes`, for `count` entries from `ptr` on: returns the first, with the accessed
/// and dirty bits of all.
#[track_caller]
pub(crate) fn get_and_clear_range(
    mm: Mm,
    address: Vaddr,
    ptr: EntryPtr,
    count: usize,
) -> MachineEntry {
    const NOTED: usize = bits::ACCESSED | bits::DIRTY;

    if Switch::Takes.is_on() {
        let range = PteRange::new(ptr, count);
        let (first, others) = pte::get_and_clear_range(mm, address, range, CallContext::here());
        return first.with(others & NOTED);
    }
    let ptrs = ptr.index().and_behind().take(count);
    let entries =
        ptrs.map(|index| generic::change_entry(ptr.table().entry(index), Store::Exchange(0)));
    let merged = entries.reduce(|first, other| first.with(other.raw() & NOTED));
    merged.unwrap_or(MachineEntry::EMPTY)
}

/// `clear_ptes`, for `count` entries from `ptr` on
#[track_caller]
pub(crate) fn clear_entries(mm: Mm, address: Vaddr, ptr: EntryPtr, count: usize) {
    if Switch::Takes.is_on() {
        let range = PteRange::new(ptr, count);
        return pte::clear(mm, address, range, CallContext::here());
    }
    for index in ptr.index().and_behind().take(count) {
        generic::change_entry(ptr.table().entry(index), Store::Exchange(0));
    }
}

/// `ptep_get_and_clear_full`, for an address space that is no longer in use
#[track_caller]
pub(crate) fn clear_full(ptr: EntryPtr) -> MachineEntry {
    let entry = ptr.read();
    store(ptr.vaddr(), 0);
    entry
}

/// `wrprotect_ptes`, for `count` entries from `ptr` on
#[track_caller]
pub(crate) fn write_protect(ptr: EntryPtr, count: usize) {
    if Switch::WriteProtects.is_on() {
        return pte::write_protect(PteRange::new(ptr, count), CallContext::here());
    }
    for index in ptr.index().and_behind().take(count) {
        let ptr = ptr.table().entry(index);
        generic::change_entry(ptr, Store::And(!(bits::RW as u64)));
    }
}

/// `clear_young_dirty_ptes`, for `count` entries from `ptr` on: clears `noted` in them
#[track_caller]
pub(crate) fn clear_young_dirty(mm: Mm, address: Vaddr, ptr: EntryPtr, count: usize, noted: usize) {
    let range = PteRange::new(ptr, count);
    if Switch::Takes.is_on() {
        return pte::clear_young_dirty(mm, address, range, noted, CallContext::here());
    }
    for (page, index) in ptr.index().and_behind().take(count).enumerate() {
        let ptr = ptr.table().entry(index);
        let address = address.add(page * PAGE_SIZE);
        let entry = get_and_clear(mm, address, ptr);
        set_pte_at(mm, address, ptr, entry.without(noted));
    }
}

/// Enters a section of lazy MMU mode (`lazy_mmu_mode_enable()`).
pub(crate) fn enter_lazy_mmu() {
    host().with_state(|state| state.lazy_mmu += 1);
}

/// Leaves a section of lazy MMU mode (`lazy_mmu_mode_disable()`): updates take effect.
pub(crate) fn leave_lazy_mmu() {
    host().with_state(|state| state.lazy_mmu -= 1);
    let _preempt = PreemptOff::new(CallContext::here());
    if !multicall::is_queue_empty() {
        multicall::flush();
    }
}

/// Runs `section` in lazy MMU mode.
pub(crate) fn in_lazy_mmu<R>(section: impl FnOnce() -> R) -> R {
    enter_lazy_mmu();
    let ret = section();
    leave_lazy_mmu();
    ret
}

/// Moves a whole table with the locks of both entries held, as `move_normal_pmd()` does.
pub(crate) fn in_table_move<R>(section: impl FnOnce() -> R) -> R {
    if !Switch::Takes.is_on() {
        return section();
    }
    let _preempt = PreemptOff::new(CallContext::here());
    enter_lazy_mmu();
    table_move::note(true);
    let ret = section();
    table_move::note(false);
    leave_lazy_mmu();
    ret
}
