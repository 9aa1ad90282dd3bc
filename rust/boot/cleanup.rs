// SPDX-License-Identifier: GPL-2.0-only

//! Frees the p2m list that Xen built, and removes mappings that only start of day needed.

#![forbid(unsafe_code)]

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::{
    pages_for,
    Index,
    Level,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::PreemptOff;
use crate::platform::early::early_memory;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::{
    self,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::kernel::layout::{
    KERNEL_MAP,
    RELOCATED_LIST, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use crate::platform::xen::machine_map::xen_p2m_addr;
use crate::ptpage::unpin_early;
use crate::{
    direct_map,
    multicall,
    p2m,
    upper, //
};
use kernel::macros::init_text;

/// Clears the entries of level 2 of the kernel map from `start` to `end`, inclusive, except for
/// those of the kernel image.
#[init_text]
fn clean_kernel_map(start: Vaddr, end: Vaddr, caller: CallContext<'_>) {
    let (image_start, image_end) = start_of_day::image_bounds();
    let image_end = Vaddr::new(image_end.raw().next_multiple_of(Level::L2.span()) - 1);
    let span = Level::L2.span();
    let mut address = start;

    for index in start.index(Level::L2).and_behind() {
        if address > end {
            break;
        }
        let ptr = static_tables::kernel_level2().entry(index);
        if !ptr.read().is_none() && (address < image_start || address > image_end) {
            upper::set_pmd(ptr, MachineEntry::EMPTY, caller);
        }
        address = address.add(span);
    }
    // If one of these mappings was still in use, the fault has to occur here.
    let _preempt = PreemptOff::new(caller);
    multicall::flush();
}

/// Makes pages writable and frees them.
#[init_text]
fn free_read_only(early: Early, start: Pfn, pages: usize, caller: CallContext<'_>) {
    for page in 0..pages {
        direct_map::make_readwrite(address::pfn_to_virt(start.add(page)), caller);
    }
    early_memory::memblock_free(early, start.paddr(), pages << PAGE_SHIFT);
}

/// Frees a table that is no longer linked.
#[init_text]
fn free_table(early: Early, table: Pfn, is_pinned: bool, caller: CallContext<'_>) {
    if is_pinned {
        unpin_early(table);
    }
    free_read_only(early, table, 1, caller);
}

/// Clears the entry of `level` at `ptr`, and frees everything below it.
///
/// `is_pinned` says whether the tables have pins of their own.
#[init_text]
fn free_below(early: Early, ptr: EntryPtr, level: Level, is_pinned: bool, caller: CallContext<'_>) {
    let entry = ptr.read();
    if entry.is_none() {
        return;
    }
    let below = match level.below() {
        Some(below) if !entry.is_huge() => below,
        // A page of the list, of any size.
        _ => {
            if let Some(first) = p2m::pfn_of(entry.mfn()) {
                free_read_only(early, first, level.span() / PAGE_SIZE, caller);
            }
            return;
        }
    };
    let Some(table) = Table::below(entry) else {
        return;
    };
    for index in Index::all() {
        free_below(early, table.entry(index), below, is_pinned, caller);
    }
    match level {
        Level::L4 => upper::set_root_early(ptr.assume_pinned(), MachineEntry::EMPTY, caller),
        level => upper::set(ptr, MachineEntry::EMPTY, level, caller),
    }
    free_table(early, table.pfn(), is_pinned, caller);
}

/// Frees the list that Xen built, once the kernel has its own.
#[init_text]
fn free_initial_list(early: Early, caller: CallContext<'_>) {
    let list = StartInfo::mfn_list();
    let bytes = pages_for(StartInfo::nr_pages() * size_of::<usize>()) << PAGE_SHIFT;

    if xen_p2m_addr.get() == list.raw() {
        return;
    }
    // Code that still looks there must not find anything that looks right.
    StartInfo::wipe_list(early);

    if list >= KERNEL_MAP {
        let end = list.add(bytes.next_multiple_of(Level::L2.span()));
        clean_kernel_map(list, end, caller);
        early_memory::memblock_free(early, address::virt_to_phys(list), bytes);
    } else {
        // The tables of a relocated list have pins of their own.
        let is_pinned = list == RELOCATED_LIST;
        let ptr = static_tables::root().entry(list.index(Level::L4));
        free_below(early, ptr, Level::L4, is_pinned, caller);
    }
}

/// Removes the mappings of Xen's tables from the kernel map.
#[init_text]
fn clean_xen_tables(early: Early, caller: CallContext<'_>) {
    let start = Vaddr::new(StartInfo::pt_base());
    let bytes = StartInfo::nr_pt_frames() << PAGE_SHIFT;
    // Xen maps up to a multiple of 4 MiB.
    let end = start
        .add(bytes)
        .raw()
        .next_multiple_of(2 * Level::L2.span());

    clean_kernel_map(start, Vaddr::new(end), caller);
    StartInfo::set_pt_base(
        early,
        address::phys_to_virt(address::virt_to_phys(start)).raw(),
    );
}

/// Frees Xen's list and removes the mappings that only start of day needed.
///
/// Context: start of day, with the list in the vmalloc area.
#[init_text]
pub(crate) fn clean_up(early: Early, caller: CallContext<'_>) {
    free_initial_list(early, caller);
    clean_xen_tables(early, caller);
    StartInfo::note_list(early);
}
