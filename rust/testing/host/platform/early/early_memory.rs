// SPDX-License-Identifier: GPL-2.0-only

//! Memory before there is a page allocator, and before the direct map covers it.
//!
//! `FreeArea` and `EarlyMapping` have the fields of the kernel's, and stand here once more: all but
//! one of their functions reach the memory itself, which is that of the simulated machine.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::convert;
use crate::entry::{
    MachineEntry,
    PseudoEntry, //
};
use crate::guest::generic;
use crate::level::{
    pages_for,
    Index,
    Level, //
};
use crate::p2m;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::early::phase::Early;
use crate::platform::kernel::address;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::{
    early,
    host, //
};
use crate::platform::machine::memory::{
    read_phys,
    store_page, //
};
use crate::platform::machine::memory_map::{
    check_usable,
    find_free, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use crate::platform::xen::machine_map::{
    xen_max_p2m_pfn,
    ReadMostly, //
};
use crate::pte;
use std::ffi::CStr;
use std::ops::Range;

/// The fixed mapping at the start of those for early use.
const EARLY_FIXED: u32 = 1535;

/// Reads a word at a pseudo-physical address without relying on the direct map.
#[track_caller]
pub(crate) fn read_phys_early(_: Early, paddr: Paddr) -> usize {
    read_phys(paddr)
}

/// An area of RAM that was free and belongs to the backend for good.
pub(crate) struct FreeArea {
    start: Pfn,
    pages: usize,
}

impl FreeArea {
    /// Finds `bytes` of RAM that is free, and keeps it.
    pub(crate) fn find(early: Early, bytes: usize) -> Option<Self> {
        let pages = pages_for(bytes);
        let host = host();
        let is_free = |pfn| host.pool.borrow().is_free(Pfn::new(pfn));
        let start = Pfn::new(find_free(bytes, is_free)?);
        memblock_reserve(early, start.paddr(), bytes);
        Some(Self { start, pages })
    }

    /// Returns the first frame.
    pub(crate) fn start(&self) -> Pfn {
        self.start
    }

    /// Maps the page `index` pages into the area, and fills it with zeroes.
    pub(crate) fn map_zeroed(&mut self, early: Early, index: usize) -> EarlyMapping<'_> {
        assert!(index < self.pages);
        let page = PseudoEntry::new(self.start.add(index), address::kernel_rw());
        let (ptr, address) = early_mapping();
        pte::set_early(early, ptr, convert::to_machine(page), CallContext::here());
        store_page(address, |_| 0);
        let table = Table::at(address);
        EarlyMapping { table, _area: self }
    }
}

/// Returns the entry and the address of the fixed mapping that is used.
fn early_mapping() -> (EntryPtr, Vaddr) {
    let address = address::fix_to_virt(EARLY_FIXED);
    match static_tables::fixmap_level1().next() {
        Some(table) => (table.entry(address.index(Level::L1)), address),
        None => unreachable!("there are fixed mappings"),
    }
}

/// A page of a [`FreeArea`], mapped as long as this exists.
pub(crate) struct EarlyMapping<'area> {
    table: Table,
    _area: &'area mut FreeArea,
}

impl EarlyMapping<'_> {
    /// Sets the entries of the table that the page is to be, from the first on.
    pub(crate) fn set_entries(&mut self, entries: impl Iterator<Item = MachineEntry>) {
        for (index, entry) in Index::all().zip(entries) {
            self.table.unpinned_entry(early(), index).store(entry);
        }
    }
}

impl Drop for EarlyMapping<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (ptr, address) = early_mapping();
        pte::set_early(early(), ptr, MachineEntry::EMPTY, CallContext::here());
        crate::tlb::flush_page_local(address, CallContext::here());
    }
}

/// Keeps memory from being handed out.
pub(crate) fn memblock_reserve(_: Early, start: Paddr, bytes: usize) {
    let host = host();
    let mut pool = host.pool.borrow_mut();
    pool.reserve(start.pfn(), pages_for(bytes));
}

/// Frees reserved memory that is no longer in use.
pub(crate) fn memblock_free(_: Early, start: Paddr, bytes: usize) {
    let host = host();
    let mut pool = host.pool.borrow_mut();
    pool.give(start.pfn(), pages_for(bytes));
}

/// Stops the boot if part of the area is not RAM in the E820 map, and cannot be made so.
pub(crate) fn check_e820_usable(
    early: Early,
    start: Paddr,
    bytes: usize,
    component: &'static CStr,
) {
    let end = start.raw() + bytes;
    let nr_pages = host().pool.borrow().nr_pages();
    assert!(pages_for(end) <= nr_pages, "{component:?} is not in memory");
    check_usable(early, &(start.raw()..end), component);
}

/// Where memory may be added later: the first frame, and how many there are.
static EXTRA_MEMORY: [ReadMostly; 2] = [ReadMostly::new(0), ReadMostly::new(0)];

/// Records that memory may be added, as setup.c does for RAM beyond the domain's memory.
pub(crate) fn add_extra_memory(start: Pfn, count: usize) {
    EXTRA_MEMORY[0].set(start.raw());
    EXTRA_MEMORY[1].set(count);
    xen_max_p2m_pfn.set(start.raw() + count);
}

fn extra_memory() -> Range<usize> {
    let [start, count] = [0, 1].map(|number: usize| EXTRA_MEMORY[number].get());
    start..start + count
}

/// Returns the word for a frame of extra memory before the p2m list covers it.
pub(crate) fn check_extra_memory(pfn: Pfn) -> P2mWord {
    if extra_memory().contains(&pfn.raw()) {
        P2mWord::MISSING
    } else {
        P2mWord::identity(pfn)
    }
}

/// Marks extra memory as missing in the p2m list.
pub(crate) fn invalidate_extra_memory(_: Early) {
    for pfn in extra_memory() {
        let is_set = p2m::grow::set(Pfn::new(pfn), P2mWord::MISSING, &mut MaySleep::here()).is_ok();
        assert!(is_set, "no word for {pfn:#x}");
    }
}

/// Remaps memory that was freed because of the E820 map: there is none.
pub(crate) fn remap_released_memory(_: Early) {}

/// Allocates missing tables down to level 1 for `vaddr`; returns the entry.
pub(crate) fn populate_level1(_: Early, vaddr: Vaddr) -> EntryPtr {
    match generic::level1_entry(Mm::kernel(), vaddr) {
        Some(ptr) => ptr,
        None => panic!("no memory for tables"),
    }
}

/// Allocates missing tables down to level 2 for `vaddr`; returns the entry.
pub(crate) fn populate_level2(_: Early, vaddr: Vaddr) -> EntryPtr {
    match generic::level2_entry(Mm::kernel(), vaddr) {
        Some(ptr) => ptr,
        None => panic!("no memory for tables"),
    }
}
