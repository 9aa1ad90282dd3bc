// SPDX-License-Identifier: GPL-2.0-only

//! Moves the p2m list if it is where the machine has no RAM.
//!
//! The new list is mapped below a root entry that nothing else uses, and the words are copied. Its
//! pages and the tables that map it are contiguous in pseudo-physical memory: first the tables,
//! from level 3 down, then the list.

#![forbid(unsafe_code)]

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::level::{
    pages_for,
    Depth,
    Index,
    Level,
    ENTRIES,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::percpu::xen_cr3;
use crate::platform::diag::report;
use crate::platform::early::early_memory::{
    self,
    FreeArea, //
};
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::StartInfo;
use crate::platform::kernel::address;
use crate::platform::kernel::layout::{
    KERNEL_MAP,
    RELOCATED_LIST, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::static_tables;
use crate::platform::xen::machine_map;
use crate::ptpage::pin_early;
use crate::walk::{
    find,
    Tables, //
};
use crate::{
    convert,
    direct_map,
    p2m,
    upper, //
};
use kernel::macros::init_text;

/// How many frames of each kind a list needs.
///
/// Context: any, for all methods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Pages of the list.
    pub(crate) list: usize,
    /// Tables of level 1, 2 and 3.
    pub(crate) tables: [usize; 3],
}

impl Layout {
    /// Returns the layout for a list of `bytes` bytes.
    pub(crate) const fn new(bytes: usize) -> Self {
        let list = pages_for(bytes);
        let level1 = list.div_ceil(ENTRIES);
        let level2 = level1.div_ceil(ENTRIES);
        let level3 = level2.div_ceil(ENTRIES);
        Self {
            list,
            tables: [level1, level2, level3],
        }
    }

    /// Returns the number of all frames.
    pub(crate) const fn frames(&self) -> usize {
        self.list + self.tables[0] + self.tables[1] + self.tables[2]
    }

    /// Returns the first table of `level`, as a page number in the area.
    const fn first_table(&self, level: Level) -> usize {
        match level {
            Level::L1 => self.tables[2] + self.tables[1],
            Level::L2 => self.tables[2],
            _ => 0,
        }
    }

    /// Returns the first page of the list, as a page number in the area.
    const fn first_list_page(&self) -> usize {
        self.tables[2] + self.tables[1] + self.tables[0]
    }
}

/// Fills table `number` of `level` and hands it over to Xen. The tables below it are complete.
#[init_text]
fn make_table(
    early: Early,
    area: &mut FreeArea,
    layout: &Layout,
    level: Level,
    number: usize,
    caller: CallContext<'_>,
) {
    let below = match level {
        Level::L1 => layout.first_list_page()..layout.frames(),
        Level::L2 => {
            let first = layout.first_table(Level::L1);
            first..first + layout.tables[0]
        }
        _ => {
            let first = layout.first_table(Level::L2);
            first..first + layout.tables[1]
        }
    };
    let first = area.start();
    let page = layout.first_table(level) + number;
    let entries = below.skip(number * ENTRIES).take(ENTRIES).map(|page| {
        let pfn = first.add(page);
        convert::to_machine(match level {
            Level::L1 => PseudoEntry::new(pfn, address::kernel_rw()),
            _ => PseudoEntry::from_raw(pfn.paddr().raw() | bits::USER_TABLE),
        })
    });
    area.map_zeroed(early, page).set_entries(entries);

    let table = first.add(page);
    // The direct map may not cover the area yet. It will then map these frames read-only, because
    // `start_info` says that they belong to the list.
    direct_map::make_readonly(address::pfn_to_virt(table), caller);
    pin_early(level, table);
}

/// The page tables in memory, read without relying on the direct map.
struct EarlyTables(Early);

impl Tables for EarlyTables {
    type Table = Pfn;

    #[init_text]
    fn entry(&self, table: Pfn, _level: Level, index: Index) -> MachineEntry {
        let at = Paddr::new(table.paddr().raw() + index.raw() * size_of::<usize>());
        MachineEntry::from_raw(early_memory::read_phys_early(self.0, at))
    }

    #[init_text]
    fn target(&self, entry: MachineEntry) -> Option<Pfn> {
        p2m::pfn_of(entry.mfn())
    }
}

/// Returns the frame of the page at `vaddr`. Large pages need not be aligned in pseudo-physical
/// memory.
#[init_text]
fn frame_at(early: Early, vaddr: Vaddr) -> Option<Pfn> {
    let root = Paddr::new(xen_cr3.read()).pfn();
    let (entry, level) = find(&EarlyTables(early), root, Depth::Four, vaddr)?;
    let first = p2m::pfn_of(entry.mfn())?;
    Some(first.add(vaddr.raw() % level.span() / PAGE_SIZE))
}

#[init_text]
fn root_ptr(vaddr: Vaddr) -> EntryPtr {
    static_tables::root().entry(vaddr.index(Level::L4))
}

/// Moves the p2m list to memory that is RAM on this machine (`xen_relocate_p2m()`).
///
/// Context: start of day, before all memory is mapped.
#[init_text]
pub(crate) fn relocate(early: Early, caller: CallContext<'_>) {
    let bytes = pages_for(StartInfo::nr_pages() * size_of::<usize>()) << PAGE_SHIFT;
    let layout = Layout::new(bytes);
    let Some(mut area) = FreeArea::find(early, layout.frames() << PAGE_SHIFT) else {
        report::raw_console(
            c"Can't find new memory area for p2m needed due to E820 map conflict\n",
        );
        report::die(c"no free memory to move the p2m list to");
    };

    for (level, count) in [Level::L1, Level::L2, Level::L3]
        .into_iter()
        .zip(layout.tables)
    {
        for number in 0..count {
            make_table(early, &mut area, &layout, level, number, caller);
        }
    }
    for number in 0..layout.tables[2] {
        let table = area.start().add(number).paddr();
        let entry = PseudoEntry::from_raw(table.raw() | bits::USER_TABLE);
        let ptr = root_ptr(RELOCATED_LIST.add(number << Level::L4.shift()));
        upper::set_root_early(ptr.assume_pinned(), convert::to_machine(entry), caller);
    }

    let old_list = StartInfo::mfn_list();
    let Some(old_start) = frame_at(early, old_list) else {
        report::die(c"the p2m list is not mapped");
    };
    if !machine_map::use_relocated_list(early, bytes / size_of::<usize>()) {
        report::die(c"the new place of the p2m list is not mapped");
    }

    release(early, old_list, old_start, pages_for(bytes), caller);
    StartInfo::note_list(early);
    StartInfo::set_first_p2m_pfn(early, area.start().raw());
    StartInfo::set_nr_p2m_frames(early, layout.frames());
    kernel::pr_info!(
        "p2m list moved from pfn {:#x} to pfn {:#x}, in conflict with the memory map\n",
        old_start.raw(),
        area.start().add(layout.first_list_page()).raw()
    );
}

/// Frees the old list, `list_pages` from `list_start` on, and the tables that mapped it.
#[init_text]
fn release(
    early: Early,
    old_list: Vaddr,
    list_start: Pfn,
    list_pages: usize,
    caller: CallContext<'_>,
) {
    let is_separate = old_list < KERNEL_MAP;
    let (start, end) = if is_separate {
        let start = StartInfo::first_p2m_pfn();
        let ptr = root_ptr(old_list);
        upper::set_root_early(ptr.assume_pinned(), MachineEntry::EMPTY, caller);
        (start, start + StartInfo::nr_p2m_frames())
    } else {
        (list_start.raw(), list_start.raw() + list_pages)
    };
    let list = list_start.raw()..list_start.raw() + list_pages;

    early_memory::memblock_free(early, Pfn::new(start).paddr(), (end - start) << PAGE_SHIFT);
    // The pages of the list are writable as they are; what else there is were tables.
    for pfn in (start..end).filter(|pfn| !list.contains(pfn)) {
        direct_map::make_readwrite(address::pfn_to_virt(Pfn::new(pfn)), caller);
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_relocate)]
mod tests {
    use super::*;

    #[test]
    fn layout_at_the_borders() {
        let one_page = Layout::new(8);
        assert_eq!(one_page.list, 1);
        assert_eq!(one_page.tables, [1, 1, 1]);
        assert_eq!(one_page.frames(), 4);

        // 1 GiB of memory: one full table of level 1.
        assert_eq!(Layout::new(2 << 20).tables, [1, 1, 1]);
        assert_eq!(Layout::new((2 << 20) + 1).tables, [2, 1, 1]);
        // 512 GiB of memory: one full table of level 2.
        assert_eq!(Layout::new(1 << 30).tables, [512, 1, 1]);
        assert_eq!(Layout::new((1 << 30) + 8).tables, [513, 2, 1]);
    }

    #[test]
    fn parts_follow_each_other() {
        for bytes in [8, 2 << 20, (1 << 30) + 8] {
            let layout = Layout::new(bytes);
            assert_eq!(layout.first_table(Level::L3), 0);
            assert_eq!(layout.first_table(Level::L2), layout.tables[2]);
            assert_eq!(
                layout.first_table(Level::L1),
                layout.first_table(Level::L2) + layout.tables[1]
            );
            assert_eq!(layout.first_list_page() + layout.list, layout.frames());
        }
    }
}
