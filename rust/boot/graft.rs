// SPDX-License-Identifier: GPL-2.0

//! Makes the kernel's own page tables out of those that Xen built, and loads them.
//!
//! The kernel image contains tables for its own mapping and for the fixed mappings, made at build
//! time with pseudo-physical frames. Their entries are converted, and Xen's table of level 2 above
//! the kernel image is copied twice:
//!
//! ```text
//!   root ┬ [direct map] ─ level 3 ─ [0] ─ level 2, copied, not executable
//!        └ [kernel map] ─ level 3 ┬ [510] ─ level 2, copied
//!                                 └ [511] ─ level 2, 1 of the fixed mappings
//! ```
//!
//! Both copies share Xen's tables of level 1: the direct map reaches as far as Xen's initial
//! mapping, which is enough until all memory is mapped.

use crate::addr::{
    Paddr,
    Vaddr,
    ENTRIES,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::alloc::{
    pin_early,
    unpin_early, //
};
use crate::convert;
use crate::cr3;
use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::frame::Pfn;
use crate::level::Level;
use crate::p2m;
use crate::platform::{
    check_e820_usable,
    clear_pages,
    die,
    direct,
    direct_map_start,
    is_nx_supported,
    kernel_ro,
    kernel_rw,
    memblock_reserve,
    phys,
    set_max_pfn_mapped,
    tables,
    user_vsyscall_table,
    Caller,
    ReadMostly,
    Slot,
    StartInfo,
    StaticTable,
    VaFlush,
    KERNEL_MAP, //
};
use crate::protect::set_early;

/// Level 3 and 2 of the direct map until all memory is mapped.
static DIRECT_LEVEL3: StaticTable = StaticTable::new();
static DIRECT_LEVEL2: StaticTable = StaticTable::new();

/// Where Xen's tables that are still in use begin, as a frame number, and how many there are.
static XEN_TABLES: [ReadMostly; 2] = [ReadMostly::new(0), ReadMostly::new(0)];

#[link_section = ".init.text"]
fn entry_of(table: Vaddr, index: usize) -> Slot {
    // SAFETY: Start of day: the tables of Xen and of the kernel image are mapped, and are not
    // freed before this is over.
    unsafe { Slot::in_table(table, index) }
}

/// Returns an entry that points to a table of the kernel image, with its pseudo-physical frame.
#[link_section = ".init.text"]
fn pointer_to(table: Vaddr, flags: usize) -> MachineEntry {
    MachineEntry::from_raw(phys(table).raw() | flags)
}

/// Converts the entries of a table made at build time.
#[link_section = ".init.text"]
fn convert_table(table: Vaddr) {
    for index in 0..ENTRIES {
        let slot = entry_of(table, index);
        let entry = PseudoEntry::from_raw(slot.read().raw());
        slot.store(convert::to_machine(entry));
    }
}

/// Returns the address of a table that Xen built, by the mapping of the kernel image.
#[link_section = ".init.text"]
fn xen_table(entry: MachineEntry) -> Vaddr {
    match p2m::pfn_of(entry.mfn()) {
        Some(pfn) => KERNEL_MAP.add(pfn.paddr().raw()),
        None => die(c"a page table that Xen built is not in the p2m list"),
    }
}

/// Makes and loads the kernel's page tables (`xen_setup_kernel_pagetable()`).
///
/// `xen_root` is the root table that Xen built and that is loaded.
///
/// Context: start of day, with interrupts off.
#[link_section = ".init.text"]
pub(crate) fn graft(xen_root: Vaddr) {
    let first_table = phys(Vaddr::new(StartInfo::pt_base())).pfn();
    let mfn_list = Vaddr::new(StartInfo::mfn_list());

    // Behind the kernel Xen maps frames that are not in the order of their numbers.
    set_max_pfn_mapped(if mfn_list < KERNEL_MAP {
        StartInfo::first_p2m_pfn()
    } else {
        phys(mfn_list).pfn().raw()
    });

    let xen_level3 = xen_table(entry_of(xen_root, KERNEL_MAP.index(Level::L4)).read());
    let xen_level2 = xen_table(entry_of(xen_level3, KERNEL_MAP.index(Level::L3)).read());
    link_tables();
    copy_level2(xen_level2);
    copy_p2m_mapping(xen_root, mfn_list);
    protect_and_pin(xen_root);
    cr3::write_early(phys(tables::root()), Caller::here());

    keep_xen_tables(first_table, [xen_root, xen_level3, xen_level2]);
    StartInfo::set_address(direct(phys(StartInfo::address())));
}

/// Links and converts the tables of the kernel image.
#[link_section = ".init.text"]
fn link_tables() {
    let root = tables::root();

    entry_of(root, 0).store(MachineEntry::EMPTY);
    entry_of(root, direct_map_start().index(Level::L4))
        .store(pointer_to(DIRECT_LEVEL3.vaddr(), bits::KERNEL_TABLE));
    entry_of(root, KERNEL_MAP.index(Level::L4))
        .store(pointer_to(tables::kernel_level3(), bits::USER_TABLE));
    entry_of(DIRECT_LEVEL3.vaddr(), 0).store(pointer_to(DIRECT_LEVEL2.vaddr(), bits::KERNEL_TABLE));

    for table in [
        root,
        DIRECT_LEVEL3.vaddr(),
        tables::kernel_level3(),
        tables::fixmap_level2(),
    ] {
        convert_table(table);
    }
}

/// Copies Xen's table of level 2 above the kernel image for the direct map and the kernel map.
#[link_section = ".init.text"]
fn copy_level2(xen_level2: Vaddr) {
    let direct_level2 = DIRECT_LEVEL2.vaddr();
    // The tables of level 1 are shared with the kernel image, so that this is the place to forbid
    // execution of the direct map.
    let direct_flags = if is_nx_supported() { bits::NX } else { 0 };

    for index in 0..ENTRIES {
        let entry = entry_of(xen_level2, index).read();
        entry_of(tables::kernel_level2(), index).store(entry);
        entry_of(direct_level2, index).store(if entry.is_none() {
            entry
        } else {
            entry.with(direct_flags)
        });
    }
}

/// Takes over the mapping of the p2m list, if it has a root entry of its own.
#[link_section = ".init.text"]
fn copy_p2m_mapping(xen_root: Vaddr, mfn_list: Vaddr) {
    let index = mfn_list.index(Level::L4);

    if index != 0 && index < KERNEL_MAP.index(Level::L4) {
        entry_of(tables::root(), index).store(entry_of(xen_root, index).read());
    }
}

/// Makes the new tables read-only and has Xen check and keep them.
#[link_section = ".init.text"]
fn protect_and_pin(xen_root: Vaddr) {
    for table in [
        tables::root(),
        DIRECT_LEVEL3.vaddr(),
        tables::kernel_level3(),
        DIRECT_LEVEL2.vaddr(),
        tables::kernel_level2(),
        tables::fixmap_level2(),
    ] {
        set_early(table, kernel_ro(), VaFlush::None);
    }
    for index in 0..tables::FIXMAP_LEVEL1 {
        let table = tables::fixmap_level1().add(index * PAGE_SIZE);
        set_early(table, kernel_ro(), VaFlush::None);
    }
    pin_early(Level::L4, phys(tables::root()).pfn());
    unpin_early(phys(xen_root).pfn());

    if let Some(table) = user_vsyscall_table() {
        set_early(table, kernel_ro(), VaFlush::None);
        pin_early(Level::L3, phys(table).pfn());
    }
}

/// Frees those of the `replaced` tables that lie at an end of Xen's tables, and keeps the rest.
///
/// Xen orders its tables for the initial domain as root, level 1, level 2, level 3, level 1 and so
/// on, so that only the root can be freed; the toolstack orders those of a guest from the root
/// down, so that all three can.
#[link_section = ".init.text"]
fn keep_xen_tables(first: Pfn, replaced: [Vaddr; 3]) {
    let mut first = first.raw();
    let mut end = first + StartInfo::nr_pt_frames();

    for table in replaced {
        let pfn = phys(table).pfn().raw();
        if pfn != first && pfn + 1 != end {
            continue;
        }
        set_early(table, kernel_rw(), VaFlush::PageLocal);
        // SAFETY: The table is not used any more and belongs to the domain.
        unsafe { clear_pages(table, 1) };
        if pfn == first {
            first += 1;
        } else {
            end -= 1;
        }
    }
    XEN_TABLES[0].set(first);
    XEN_TABLES[1].set(end - first);
    memblock_reserve(Paddr::new(first << PAGE_SHIFT), (end - first) << PAGE_SHIFT);
}

/// Stops the boot if Xen's tables lie where the machine has no RAM (`xen_pt_check_e820()`).
///
/// They cannot be moved: they are in use.
///
/// Context: start of day.
#[link_section = ".init.text"]
pub(crate) fn check_e820() {
    let [first, count] = &XEN_TABLES;
    check_e820_usable(
        Pfn::new(first.get()).paddr(),
        count.get() << PAGE_SHIFT,
        c"page table",
    );
}
