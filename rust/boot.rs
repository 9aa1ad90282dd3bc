// SPDX-License-Identifier: GPL-2.0-only

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
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::early::early_memory;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::StartInfo;
use crate::platform::kernel::address;
use crate::platform::xen::{
    hypercall,
    machine_map, //
};
use kernel::macros::init_text;

/// Finds Xen's m2p table (`xen_setup_machphys_mapping()`).
///
/// Context: start of day, before any entry is converted.
#[init_text]
pub(crate) fn find_m2p(early: Early) {
    // Number of entries to assume when Xen does not tell: what its ABI reserves room for.
    const RESERVED_ENTRIES: usize =
        (0xffff_8040_0000_0000usize - 0xffff_8000_0000_0000) / size_of::<usize>();

    match hypercall::machphys_mapping() {
        Ok((table, entries)) => machine_map::set_m2p(early, Some(Vaddr::new(table)), entries),
        Err(_) => machine_map::set_m2p(early, None, RESERVED_ENTRIES),
    }
}

/// Keeps the pages that the domain shares with others from being handed out
/// (`xen_reserve_special_pages()`).
///
/// Context: start of day, once the p2m list is in use.
#[init_text]
pub(crate) fn reserve_special_pages(early: Early) {
    early_memory::memblock_reserve(
        early,
        address::virt_to_phys(StartInfo::address()),
        PAGE_SIZE,
    );

    let console = (!StartInfo::is_initial_domain()).then(StartInfo::console);
    for mfn in [StartInfo::store(), console].into_iter().flatten() {
        if let Some(pfn) = p2m::pfn_of(mfn) {
            early_memory::memblock_reserve(early, pfn.paddr(), PAGE_SIZE);
        }
    }
}

/// Moves the p2m list to its final place, and frees what only start of day needed.
///
/// Context: start of day, when all memory is mapped.
#[init_text]
pub(crate) fn finish(early: Early, sleep: &mut MaySleep) {
    p2m::build::move_to_vmalloc(early, sleep);
    cleanup::clean_up(early, sleep.caller());
    p2m::list::build_tree(sleep);
    early_memory::remap_released_memory(early);
    p2m::list::publish(sleep.caller());
}
