// SPDX-License-Identifier: GPL-2.0

//! Start of day: from the page tables and the p2m list that Xen built to the kernel's own.
//!
//! The order is that of the boot: [`kernel_tables`] makes the kernel's tables out of Xen's and
//! loads them. setup.c may then ask to [`relocate`] the p2m list. When all memory is mapped, the
//! list moves to the vmalloc area, and [`cleanup`] frees what is left of Xen's tables.

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

/// Learns where Xen's m2p table is (`xen_setup_machphys_mapping()`).
///
/// Context: start of day, before any entry is converted.
#[init_text]
pub(crate) fn find_m2p() {
    // Number of entries to assume when Xen does not tell: what its ABI reserves room for.
    const RESERVED_ENTRIES: usize =
        (0xffff_8040_0000_0000usize - 0xffff_8000_0000_0000) / size_of::<usize>();

    match machphys_mapping() {
        Ok((table, entries)) => set_m2p(Some(Vaddr::new(table)), entries),
        Err(_) => set_m2p(None, RESERVED_ENTRIES),
    }
}

/// Keeps the pages that the domain shares with others from being handed out
/// (`xen_reserve_special_pages()`).
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

/// Moves the p2m list to its final place, and gives up what only start of day needed.
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
