// SPDX-License-Identifier: GPL-2.0-only

//! Memory before there is a page allocator, and before the direct map covers it.
//!
//! Context: start of day, for all functions here that do not say otherwise.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::level::{
    pages_for,
    Index,
    PAGE_SIZE, //
};
use crate::p2m_word::P2mWord;
use crate::platform::early::phase::Early;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::UnpinnedEntryPtr;
use crate::platform::paging::table::Table;
use core::ffi::CStr;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// Reads a word at a pseudo-physical address without relying on the direct map.
#[inline(always)]
pub(crate) fn read_phys_early(_: Early, paddr: Paddr) -> usize {
    // SAFETY: Maps RAM read-only for the time of the read, which is possible as `Early` shows.
    unsafe {
        let word = bindings::early_memremap_ro(paddr.raw() as u64, size_of::<usize>());
        let value = word.cast::<usize>().read();
        bindings::early_memunmap(word, size_of::<usize>());
        value
    }
}

/// An area of RAM that was free and now belongs to the backend for good.
///
/// # Invariants
///
/// The `pages` pages from `start` on belong to nobody else.
pub(crate) struct FreeArea {
    start: Pfn,
    pages: usize,
}

impl FreeArea {
    /// Finds `bytes` of RAM that is free and not in conflict with the E820 map, and reserves it
    /// (setup.c); returns `None` if there is none.
    #[inline(always)]
    pub(crate) fn find(_: Early, bytes: usize) -> Option<Self> {
        // SAFETY: Nobody else runs, as `Early` shows.
        let start = unsafe { bindings::xen_find_free_area(bytes as u64) };
        // INVARIANT: The area was free, and setup.c has reserved it.
        (start != 0).then_some(Self {
            start: Paddr::new(start as usize).pfn(),
            pages: pages_for(bytes),
        })
    }

    /// Returns the first frame.
    pub(crate) fn start(&self) -> Pfn {
        self.start
    }

    /// Maps the page `index` pages into the area, and fills it with zeroes.
    ///
    /// # Panics
    ///
    /// If the page is not part of the area.
    #[inline(always)]
    pub(crate) fn map_zeroed(&mut self, _: Early, index: usize) -> EarlyMapping<'_> {
        assert!(index < self.pages);
        let paddr = self.start.add(index).paddr();
        // SAFETY: Maps RAM, which is possible as `Early` shows; there are eight slots for such
        // mappings, of which at most three are in use here.
        let page = unsafe { bindings::early_memremap(paddr.raw() as u64, PAGE_SIZE) };
        // SAFETY: The page is mapped, and by the type invariant it belongs to nobody else.
        unsafe { core::ptr::write_bytes(page.cast::<u8>(), 0, PAGE_SIZE) };
        // SAFETY: The page is RAM of the domain, and `drop()` unmaps it only when `table` is no
        // longer used. No reference to the page exists.
        let table = unsafe { Table::from_raw(page) };
        EarlyMapping { table, _area: self }
    }
}

/// A page of a [`FreeArea`], mapped while this exists.
pub(crate) struct EarlyMapping<'area> {
    table: Table,
    _area: &'area mut FreeArea,
}

impl EarlyMapping<'_> {
    /// Sets entries from the first on, in a page that becomes a table.
    pub(crate) fn set_entries(
        &mut self,
        entries: impl Iterator<Item = crate::entry::MachineEntry>,
    ) {
        for (index, entry) in Index::all().zip(entries) {
            UnpinnedEntryPtr::new(self.table.entry(index)).store(entry);
        }
    }
}

impl Drop for EarlyMapping<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: Mapped by `map_zeroed()`.
        unsafe { bindings::early_memunmap(self.table.vaddr().raw() as *mut _, PAGE_SIZE) }
    }
}

/// Reserves memory, so that memblock does not hand it out.
#[inline(always)]
pub(crate) fn memblock_reserve(_: Early, start: Paddr, bytes: usize) {
    // SAFETY: Nobody else runs, as `Early` shows. A failure to record it is reported by memblock.
    unsafe { bindings::xen_pv_mmu_memblock_reserve(start.raw() as u64, bytes as u64) };
}

/// Gives reserved memory back, which nobody uses any more.
#[inline(always)]
pub(crate) fn memblock_free(_: Early, start: Paddr, bytes: usize) {
    // SAFETY: Nobody else runs, as `Early` shows. The memory is free, by the contract of this
    // function.
    unsafe { bindings::memblock_phys_free(start.raw() as u64, bytes as u64) };
}

/// Stops the boot if part of the area is not RAM in the E820 map (setup.c).
#[inline(always)]
pub(crate) fn check_e820_usable(_: Early, start: Paddr, bytes: usize, component: &'static CStr) {
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe {
        bindings::xen_chk_is_e820_usable(start.raw() as u64, bytes as u64, component.as_char_ptr())
    }
}

/// Returns the word that a frame of extra memory will have once the p2m list covers it (setup.c).
///
/// Context: any.
#[inline(always)]
pub(crate) fn check_extra_memory(pfn: Pfn) -> P2mWord {
    // SAFETY: Only looks the frame up in an array of setup.c.
    P2mWord::from_raw(unsafe { bindings::xen_chk_extra_mem(pfn.raw()) })
}

/// Marks extra memory as missing in the p2m list (setup.c).
#[inline(always)]
pub(crate) fn invalidate_extra_memory(_: Early) {
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe { bindings::xen_inv_extra_mem() }
}

/// Remaps memory that was freed for the sake of the E820 map (setup.c).
#[inline(always)]
pub(crate) fn remap_released_memory(_: Early) {
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe { bindings::xen_remap_memory() }
}

/// Builds the kernel's page tables for all memory (`paging_init()`).
#[inline(always)]
pub(crate) fn build_kernel_mappings(_: Early) {
    // SAFETY: Nobody else runs, as `Early` shows. This is called once, from the hook that replaces
    // it.
    unsafe { bindings::paging_init() }
}

/// Returns the entry of level 1 for `vaddr`; adds missing tables.
#[inline(always)]
pub(crate) fn populate_level1(_: Early, vaddr: Vaddr) -> EntryPtr {
    // SAFETY: Nobody else runs, as `Early` shows. The entry is of the kernel's tables, for good.
    unsafe { EntryPtr::from_raw(bindings::populate_extra_pte(vaddr.raw())) }
}

/// Returns the entry of level 2 for `vaddr`; adds missing tables.
#[inline(always)]
pub(crate) fn populate_level2(_: Early, vaddr: Vaddr) -> EntryPtr {
    // SAFETY: As in `populate_level1()`.
    unsafe { EntryPtr::from_raw(bindings::populate_extra_pmd(vaddr.raw())) }
}
