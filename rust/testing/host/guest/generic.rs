// SPDX-License-Identifier: GPL-2.0-only

//! What generic code does with page tables: allocates them, finds entries, frees them.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::guest::ops;
use crate::level::Level;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::host;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::{
    self,
    OwnedPage, //
};
use crate::platform::paging::table::Table;
use xen_model::Store;

/// Returns the entry of level 1 for `address` in the tables of `mm`, and allocates missing tables;
/// `None` if there is no memory for them.
pub(crate) fn level1_entry(mm: Mm, address: Vaddr) -> Option<EntryPtr> {
    make_down_to(mm, mm.root().table(), Level::L4, Level::L1, address)
}

/// As [`level1_entry`], for level 2.
pub(crate) fn level2_entry(mm: Mm, address: Vaddr) -> Option<EntryPtr> {
    make_down_to(mm, mm.root().table(), Level::L4, Level::L2, address)
}

/// Sets the entry for `address` below a table of level 3 of the kernel (`set_pte_vaddr_pud()`).
pub(crate) fn set_below_level3(table: Table, address: Vaddr, entry: MachineEntry) {
    match make_down_to(Mm::kernel(), table, Level::L3, Level::L1, address) {
        Some(ptr) => ops::set_pte(ptr, entry),
        None => panic!("no memory for tables"),
    }
}

fn make_down_to(
    mm: Mm,
    mut table: Table,
    mut level: Level,
    leaf: Level,
    address: Vaddr,
) -> Option<EntryPtr> {
    loop {
        let ptr = table.entry(address.index(level));
        let below = match level.below() {
            Some(below) if level != leaf => below,
            _ => return Some(ptr),
        };
        if ptr.read().is_none() {
            let page = OwnedPage::zeroed(&mut MaySleep::here())?;
            mm.with_page_table_lock(CallContext::here(), || link(mm, ptr, level, page.leak()));
        }
        let entry = ptr.read();
        table = match Table::below(entry) {
            Some(table) => table,
            None => panic!("{entry:x?} for {address:x?} points to no table of the domain"),
        };
        level = below;
    }
}

/// Makes `table` a table of `mm`, below `ptr` of `level` (`pmd_populate()` and its like).
pub(crate) fn link(mm: Mm, ptr: EntryPtr, level: Level, table: Table) {
    let flags = if mm == Mm::kernel() {
        bits::KERNEL_TABLE
    } else {
        bits::USER_TABLE
    };
    if let Some(below) = level.below() {
        ops::alloc_table(mm, table.pfn(), below);
    }
    let entry = PseudoEntry::from_raw(table.pfn().paddr().raw() | flags);
    ops::set_upper(ptr, level, ops::make_pte(entry));
}

/// Takes the table below `ptr` of `level` out and frees it (`free_pte_range()` and its like).
pub(crate) fn free_table(ptr: EntryPtr, level: Level) {
    let Some(table) = Table::below(ptr.read()) else {
        panic!("an entry points to no table of the domain");
    };
    ops::set_upper(ptr, level, MachineEntry::EMPTY);
    if let Some(below) = level.below() {
        ops::release_table(table.pfn(), below);
    }
    pages::free_page(table.pfn());
}

/// Returns the entry of `level` for `address` in the tables of `mm`, if there is a table with it.
pub(crate) fn find(mm: Mm, level: Level, address: Vaddr) -> Option<EntryPtr> {
    let mut table = mm.root().table();
    let mut at = Level::L4;
    loop {
        let ptr = table.entry(address.index(at));
        if at == level {
            return Some(ptr);
        }
        let entry = ptr.read();
        if !entry.is_present() {
            return None;
        }
        table = Table::below(entry)?;
        at = at.below()?;
    }
}

/// Changes an entry as the CPU does, with a locked instruction; returns the old entry.
///
/// If Xen knows the table, it emulates that.
#[track_caller]
pub(crate) fn change_entry(ptr: EntryPtr, change: Store) -> MachineEntry {
    let host = host();
    let result = host.with_emulation(|| {
        let mut machine = host.machine.borrow_mut();
        machine.store(host.vcpu(), ptr.vaddr().raw() as u64, change)
    });
    match result {
        Ok(word) => MachineEntry::from_raw(word as usize),
        Err(fault) => panic!("changing an entry: {fault:x?}"),
    }
}

/// Returns the page that an entry maps.
#[track_caller]
pub(crate) fn page_of(entry: MachineEntry) -> Pfn {
    crate::convert::to_pseudo(entry).pfn()
}
