// SPDX-License-Identifier: GPL-2.0-only

//! Makes the kernel's own page tables from those that Xen built, and loads them.
//!
//! The kernel image contains tables for its own mapping and for the fixed mappings. They were made
//! at build time, with pseudo-physical frames. Their entries are converted, and Xen's table of
//! level 2 above the kernel image is copied twice:
//!
//! ```text
//!   root ┬ [direct map] ─ level 3 ─ [0] ─ level 2, copied, not executable
//!        └ [kernel map] ─ level 3 ┬ [510] ─ level 2, copied
//!                                 └ [511] ─ level 2, 1 of the fixed mappings
//! ```
//!
//! Both copies use Xen's tables of level 1. So the direct map covers Xen's initial mapping, which
//! is enough until all memory is mapped.

#![forbid(unsafe_code)]

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::convert;
use crate::cr3;
use crate::direct_map::set_early;
use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::level::{
    Index,
    Level,
    PAGE_SHIFT, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::diag::report;
use crate::platform::early::early_memory;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::{
    self,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::kernel::kernel_data;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::{
    StaticTable,
    Table, //
};
use crate::platform::xen::abi::VaFlush;
use crate::platform::xen::machine_map::ReadMostly;
use crate::ptpage::{
    pin_early,
    unpin_early, //
};
use kernel::macros::init_text;

/// Level 3 and 2 of the direct map until all memory is mapped.
static DIRECT_LEVEL3: StaticTable = StaticTable::new();
static DIRECT_LEVEL2: StaticTable = StaticTable::new();

/// The first pfn of those of Xen's tables that are still in use, and their number.
static XEN_TABLES: [ReadMostly; 2] = [ReadMostly::new(0), ReadMostly::new(0)];

/// Returns an entry for a table of the kernel image, with a pseudo-physical frame.
#[init_text]
fn pointer_to(table: Table, flags: usize) -> MachineEntry {
    MachineEntry::from_raw(table.pfn().paddr().raw() | flags)
}

/// Converts the entries of a table made at build time.
#[init_text]
fn convert_table(early: Early, table: Table) {
    for index in Index::all() {
        let entry = PseudoEntry::from_raw(table.entry(index).read().raw());
        table
            .unpinned_entry(early, index)
            .store(convert::to_machine(entry));
    }
}

/// Returns the table of Xen that the entry at `ptr` points to.
#[init_text]
fn xen_table(early: Early, ptr: EntryPtr) -> Table {
    match StartInfo::table_in(early, ptr.read().mfn()) {
        Some(table) => table,
        None => report::die(c"a page table that Xen built is not in the p2m list"),
    }
}

/// Makes and loads the kernel's page tables (`xen_setup_kernel_pagetable()`).
///
/// `xen_root` is the loaded root table, which Xen built.
///
/// Context: start of day, on the tables that Xen built.
#[init_text]
pub(crate) fn setup(early: Early, xen_root: Table, caller: CallContext<'_>) {
    let first_table = address::virt_to_phys(Vaddr::new(StartInfo::pt_base())).pfn();
    let mfn_list = StartInfo::mfn_list();

    // Behind the kernel Xen maps frames that are not in the order of their numbers.
    let mapped = if mfn_list < KERNEL_MAP {
        StartInfo::first_p2m_pfn()
    } else {
        address::virt_to_phys(mfn_list).pfn().raw()
    };
    start_of_day::set_max_pfn_mapped(early, mapped);

    let xen_level3 = xen_table(early, xen_root.entry(KERNEL_MAP.index(Level::L4)));
    let xen_level2 = xen_table(early, xen_level3.entry(KERNEL_MAP.index(Level::L3)));
    link_tables(early);
    copy_level2(early, xen_level2);
    copy_p2m_mapping(early, xen_root, mfn_list);
    protect_and_pin(xen_root);
    cr3::write_early(static_tables::root().pfn(), caller);

    keep_xen_tables(early, first_table, [xen_root, xen_level3, xen_level2]);
    let start_info = address::phys_to_virt(address::virt_to_phys(StartInfo::address()));
    StartInfo::set_address(early, start_info);
}

/// Links and converts the tables of the kernel image.
#[init_text]
fn link_tables(early: Early) {
    let root = static_tables::root();
    let set = |table: Table, index, entry| table.unpinned_entry(early, index).store(entry);

    set(root, Index::FIRST, MachineEntry::EMPTY);
    let direct = pointer_to(DIRECT_LEVEL3.table(), bits::KERNEL_TABLE);
    set(root, address::direct_map_start().index(Level::L4), direct);
    let kernel = pointer_to(static_tables::kernel_level3(), bits::USER_TABLE);
    set(root, KERNEL_MAP.index(Level::L4), kernel);
    let first = pointer_to(DIRECT_LEVEL2.table(), bits::KERNEL_TABLE);
    set(DIRECT_LEVEL3.table(), Index::FIRST, first);

    for table in [
        root,
        DIRECT_LEVEL3.table(),
        static_tables::kernel_level3(),
        static_tables::fixmap_level2(),
    ] {
        convert_table(early, table);
    }
}

/// Copies Xen's table of level 2 above the kernel image for the direct map and the kernel map.
#[init_text]
fn copy_level2(early: Early, xen_level2: Table) {
    // The tables of level 1 are shared with the kernel map, so the entries of level 2 forbid
    // execution in the direct map.
    let direct_flags = if address::is_nx_supported() {
        bits::NX
    } else {
        0
    };

    for index in Index::all() {
        let entry = xen_level2.entry(index).read();
        let kernel = static_tables::kernel_level2().unpinned_entry(early, index);
        kernel.store(entry);
        let direct = DIRECT_LEVEL2.table().unpinned_entry(early, index);
        direct.store(if entry.is_none() {
            entry
        } else {
            entry.with(direct_flags)
        });
    }
}

/// Copies the mapping of the p2m list, if it has a root entry of its own.
#[init_text]
fn copy_p2m_mapping(early: Early, xen_root: Table, mfn_list: Vaddr) {
    let index = mfn_list.index(Level::L4);

    if index != Index::FIRST && index < KERNEL_MAP.index(Level::L4) {
        let entry = xen_root.entry(index).read();
        static_tables::root()
            .unpinned_entry(early, index)
            .store(entry);
    }
}

/// Makes the new tables read-only and pins them.
#[init_text]
fn protect_and_pin(xen_root: Table) {
    let upper = [
        static_tables::root(),
        DIRECT_LEVEL3.table(),
        static_tables::kernel_level3(),
        DIRECT_LEVEL2.table(),
        static_tables::kernel_level2(),
        static_tables::fixmap_level2(),
    ];
    for table in upper.into_iter().chain(static_tables::fixmap_level1()) {
        set_early(table.vaddr(), address::kernel_ro(), VaFlush::None);
    }
    pin_early(Level::L4, static_tables::root().pfn());
    unpin_early(xen_root.pfn());

    if let Some(table) = kernel_data::user_vsyscall_table() {
        set_early(table.vaddr(), address::kernel_ro(), VaFlush::None);
        pin_early(Level::L3, table.pfn());
    }
}

/// Frees those of the `replaced` tables that are at either end of Xen's tables, and reserves the
/// rest.
///
/// For the initial domain Xen orders its tables as root, level 1, level 2, level 3, level 1 and so
/// on, so only the root can be freed. For a guest the toolstack orders them from the root down, so
/// all three can be freed.
#[init_text]
fn keep_xen_tables(early: Early, first: Pfn, replaced: [Table; 3]) {
    let mut first = first.raw();
    let mut end = first + StartInfo::nr_pt_frames();

    for table in replaced {
        let pfn = table.pfn().raw();
        if pfn != first && pfn + 1 != end {
            continue;
        }
        set_early(table.vaddr(), address::kernel_rw(), VaFlush::PageLocal);
        for index in Index::all() {
            table
                .unpinned_entry(early, index)
                .store(MachineEntry::EMPTY);
        }
        if pfn == first {
            first += 1;
        } else {
            end -= 1;
        }
    }
    XEN_TABLES[0].set(first);
    XEN_TABLES[1].set(end - first);
    let start = Paddr::new(first << PAGE_SHIFT);
    early_memory::memblock_reserve(early, start, (end - first) << PAGE_SHIFT);
}

/// Stops the boot if Xen's tables are where the machine has no RAM (`xen_pt_check_e820()`).
///
/// They cannot be moved: they are in use.
///
/// Context: start of day, before all memory is mapped.
#[init_text]
pub(crate) fn check_e820(early: Early) {
    let [first, count] = &XEN_TABLES;
    early_memory::check_e820_usable(
        early,
        Pfn::new(first.get()).paddr(),
        count.get() << PAGE_SHIFT,
        c"page table",
    );
}
