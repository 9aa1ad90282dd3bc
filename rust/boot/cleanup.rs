// SPDX-License-Identifier: GPL-2.0

//! Frees the p2m list that Xen built and takes back the mappings that only start of day needed.

use crate::addr::{
    pages_for,
    Vaddr,
    ENTRIES,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::alloc::unpin_early;
use crate::entry::MachineEntry;
use crate::frame::Pfn;
use crate::level::Level;
use crate::multicall;
use crate::p2m;
use crate::platform::{
    direct,
    direct_of,
    fill_words,
    image_bounds,
    kernel_root,
    memblock_free,
    phys,
    tables,
    xen_p2m_addr,
    Caller,
    PreemptOff,
    Slot,
    StartInfo,
    TablePage,
    KERNEL_MAP, //
};
use crate::{
    protect,
    set, //
};

/// Removes mappings of level 2 from the kernel map, from `start` up to and including `end`, as far
/// as they lie outside of the kernel image.
#[link_section = ".init.text"]
fn clean_kernel_map(start: Vaddr, end: Vaddr) {
    let (image_start, image_end) = image_bounds();
    let image_end = Vaddr::new(image_end.raw().next_multiple_of(Level::L2.span()) - 1);
    let span = Level::L2.span();
    let mut address = start;

    for index in start.index(Level::L2)..ENTRIES {
        if address > end {
            break;
        }
        // SAFETY: The table is part of the kernel image.
        let slot = unsafe { Slot::in_table(tables::kernel_level2(), index) };
        if !slot.read().is_none() && (address < image_start || address > image_end) {
            set::pmd(slot, MachineEntry::EMPTY, Caller::here());
        }
        address = address.add(span);
    }
    // Should one of these have been in use, let it show here.
    let _preempt = PreemptOff::new();
    multicall::flush();
}

/// Makes pages writable and frees them.
#[link_section = ".init.text"]
fn free_read_only(start: Pfn, pages: usize) {
    for page in 0..pages {
        protect::writable(direct_of(start.add(page)));
    }
    memblock_free(start.paddr(), pages << PAGE_SHIFT);
}

/// Frees a table that is hooked nowhere any more.
#[link_section = ".init.text"]
fn free_table(table: Pfn, is_pinned: bool) {
    if is_pinned {
        unpin_early(table);
    }
    if let Some(page) = TablePage::of(table) {
        page.test_clear_pinned();
    }
    free_read_only(table, 1);
}

/// Frees everything below the entry at `slot`, of `level`, and the entry.
///
/// `is_pinned` says whether the tables have pins of their own.
#[link_section = ".init.text"]
fn free_below(slot: Slot, level: Level, is_pinned: bool) {
    let entry = slot.read();
    if entry.is_none() {
        return;
    }
    let Some(target) = p2m::pfn_of(entry.mfn()) else {
        return;
    };
    let below = match level.below() {
        Some(below) if !entry.is_huge() => below,
        // A page of the list, of whatever size.
        _ => return free_read_only(target, level.span() / PAGE_SIZE),
    };
    for index in 0..ENTRIES {
        // SAFETY: The table is hooked up until all below it is freed.
        let slot = unsafe { Slot::in_table(direct_of(target), index) };
        free_below(slot, below, is_pinned);
    }
    match level {
        Level::L4 => set::root(slot, MachineEntry::EMPTY, Caller::here()),
        level => set::upper(slot, MachineEntry::EMPTY, level, Caller::here()),
    }
    free_table(target, is_pinned);
}

/// Frees the list that Xen built, once the kernel has its own.
#[link_section = ".init.text"]
fn free_initial_list() {
    let list = Vaddr::new(StartInfo::mfn_list());
    let words = StartInfo::nr_pages();
    let bytes = pages_for(words * size_of::<usize>()) << PAGE_SHIFT;

    if xen_p2m_addr.get() == list.raw() {
        return;
    }
    // Whoever still looks there shall not find anything that looks right.
    // SAFETY: The list is writable and not used any more.
    unsafe { fill_words(list, usize::MAX, words) };

    if list >= KERNEL_MAP {
        let end = list.add(bytes.next_multiple_of(Level::L2.span()));
        clean_kernel_map(list, end);
        memblock_free(phys(list), bytes);
    } else {
        // A list that was moved is mapped by tables with pins of their own.
        let is_pinned = list == Vaddr::new(2 << Level::L4.shift());
        // SAFETY: The kernel's root table is a static.
        let slot = unsafe { Slot::in_table(kernel_root(), list.index(Level::L4)) };
        free_below(slot, Level::L4, is_pinned);
    }
}

/// Takes the mappings of Xen's tables out of the kernel map.
#[link_section = ".init.text"]
fn clean_xen_tables() {
    let start = Vaddr::new(StartInfo::pt_base());
    let bytes = StartInfo::nr_pt_frames() << PAGE_SHIFT;
    // Xen maps up to a multiple of 4 MiB.
    let end = start
        .add(bytes)
        .raw()
        .next_multiple_of(2 * Level::L2.span());

    clean_kernel_map(start, Vaddr::new(end));
    StartInfo::set_pt_base(direct(phys(start)).raw());
}

/// Gives up what start of day needed of Xen's list and mappings.
///
/// Context: start of day, with the list in the vmalloc area.
#[link_section = ".init.text"]
pub(crate) fn clean_up() {
    free_initial_list();
    clean_xen_tables();
    StartInfo::set_mfn_list(xen_p2m_addr.get());
}
