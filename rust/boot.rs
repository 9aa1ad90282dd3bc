// SPDX-License-Identifier: GPL-2.0

//! Start of day: replaces the page tables and the p2m list that Xen built by the kernel's own.
//!
//! First [`kernel_tables`] makes the kernel's tables from Xen's and loads them. setup.c may then
//! ask to [`relocate`] the p2m list. Once all memory is mapped, the list moves to the vmalloc area,
//! and [`cleanup`] frees Xen's list and the mappings that are no longer needed.

#![forbid(unsafe_code)]

pub(crate) mod cleanup;
pub(crate) mod kernel_tables;
pub(crate) mod relocate;

use crate::addr::Vaddr;
use crate::level::PAGE_SIZE;
use crate::p2m;
use crate::platform::{
    machphys_mapping,
    memblock_reserve,
    remap_released_memory,
    set_m2p,
    virt_to_phys,
    MaySleep,
    StartInfo, //
};
use kernel::macros::init_text;

/// Finds Xen's m2p table (`xen_setup_machphys_mapping()`).
///
/// Context: start of day, before any entry is converted.
#[init_text]
pub(crate) fn find_m2p() {
    // The number of entries if Xen does not know the call: its ABI reserves room for that many.
    const RESERVED_ENTRIES: usize =
        (0xffff_8040_0000_0000usize - 0xffff_8000_0000_0000) / size_of::<usize>();

    match machphys_mapping() {
        Ok((table, entries)) => set_m2p(Some(Vaddr::new(table)), entries),
        Err(_) => set_m2p(None, RESERVED_ENTRIES),
    }
}

/// Reserves the pages of `start_info`, xenstore and the console, so that memblock does not hand
/// them out (`xen_reserve_special_pages()`).
///
/// Context: start of day.
#[init_text]
pub(crate) fn reserve_special_pages() {
    memblock_reserve(virt_to_phys(StartInfo::address()), PAGE_SIZE);

    let console = (!StartInfo::is_initial_domain()).then(StartInfo::console);
    for mfn in [StartInfo::store(), console].into_iter().flatten() {
        if let Some(pfn) = p2m::pfn_of(mfn) {
            memblock_reserve(pfn.paddr(), PAGE_SIZE);
        }
    }
}

/// Moves the p2m list to its final place, and frees what only start of day needed.
///
/// Context: start of day, with all memory mapped.
#[init_text]
pub(crate) fn finish(sleep: &mut MaySleep) {
    p2m::build::move_to_vmalloc(sleep);
    cleanup::clean_up(sleep.caller());
    p2m::list::build_tree(sleep);
    remap_released_memory();
    p2m::list::publish(sleep.caller());
}
