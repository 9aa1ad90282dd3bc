// SPDX-License-Identifier: GPL-2.0-only

//! Boots the backend in the order of the kernel: from what Xen built to run time.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::guest::{
    generic, //
    ops,
};
use crate::level::{
    Index,
    Level,
    ENTRIES, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context::IrqsOff;
use crate::platform::cpu::percpu::xen_cr3;
use crate::platform::early::phase::RunTime;
use crate::platform::early::start_of_day::StartInfo;
use crate::platform::kernel::address;
use crate::platform::kernel::kernel_data::fixmap_index;
use crate::platform::kernel::layout::{
    FIXED_END,
    KERNEL_MAP, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::{
    early,
    Host, //
};
use crate::platform::paging::dummy_page;
use crate::platform::paging::pages::{
    self,
    OwnedPage, //
};
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use crate::ptpage::mfn_of_table;
use crate::{
    boot,
    contiguous,
    fixmap,
    p2m,
    pin, //
};
use xen_model::{
    Assists,
    Mfn, //
};

/// Boots on the boot CPU.
pub(crate) fn boot(host: &Host) {
    boot_with(host, || {});
}

/// As [`boot`]; runs `setup` where the kernel looks at the E820 map (`xen_memory_setup()`).
pub(crate) fn boot_with(host: &Host, setup: impl FnOnce()) {
    {
        let _irqs = IrqsOff::new();
        make_image_tables();
        dummy_page::init(early());
        boot::find_m2p(early());
        p2m::build::use_initial_list(early());
        boot::kernel_tables::setup(
            early(),
            Table::at(Vaddr::new(StartInfo::pt_base())),
            CallContext::here(),
        );
        boot::reserve_special_pages(early());
    }
    enable_emulation(host);
    boot::kernel_tables::check_e820(early());
    setup();
    map_all_memory(host);

    p2m::list::init();
    contiguous::init();
    ops::install_run_time();
    boot::finish(early(), &mut MaySleep::here());
    map_fixed();

    // SAFETY: On the host, `struct page`s are entries of a map, which exists from the start.
    let now = unsafe { RunTime::begin() };
    pin::mark_kernel_tables(now);
    host.pool.borrow_mut().set_up();
}

/// Starts CPU `cpu` on the kernel's tables, as smp_pv.c does.
pub(crate) fn start_cpu(host: &Host, cpu: u32) {
    let root = static_tables::root();
    xen_cr3.write_of(cpu, address::virt_to_phys(root.vaddr()).raw());
    let mfn = Mfn(mfn_of_table(root.pfn()).raw() as u64);
    let result = host
        .machine
        .borrow_mut()
        .vcpu_up(host.domain.vcpu(cpu), mfn);
    assert_eq!(result, Ok(()), "CPU {cpu} does not start");
    let before = host.switch_to(cpu);
    ops::write_cr3(Mm::kernel().root());
    host.switch_to(before);
}

/// Fills the tables of the kernel image as the build does (`head_64.S`), and the rest of it with
/// zeroes.
fn make_image_tables() {
    for page in 0..static_tables::IMAGE_PAGES {
        clear(static_tables::nth(page));
    }
    let set = |table: Table, index, to| table.unpinned_entry(early(), index).store(pointer(to));
    for start in [Vaddr::new(0), address::direct_map_start(), KERNEL_MAP] {
        let level3 = static_tables::kernel_level3();
        set(static_tables::root(), start.index(Level::L4), level3);
    }
    let last = Vaddr::new(FIXED_END.raw() - 1);
    let kernel_map = KERNEL_MAP.index(Level::L3);
    set(
        static_tables::kernel_level3(),
        kernel_map,
        static_tables::kernel_level2(),
    );
    let fixed_map = last.index(Level::L3);
    set(
        static_tables::kernel_level3(),
        fixed_map,
        static_tables::fixmap_level2(),
    );

    let end = last.index(Level::L2).raw() + 1;
    let first = Index::wrapping(end - static_tables::NR_FIXMAP_LEVEL1);
    for (index, table) in first.and_behind().zip(static_tables::fixmap_level1()) {
        set(static_tables::fixmap_level2(), index, table);
    }
}

/// Returns the entry for a table, with its pseudo-physical frame.
fn pointer(table: Table) -> MachineEntry {
    MachineEntry::from_raw(address::virt_to_phys(table.vaddr()).raw() | bits::USER_TABLE)
}

fn clear(table: Table) {
    for index in Index::all() {
        let ptr = table.unpinned_entry(early(), index);
        ptr.store(MachineEntry::EMPTY);
    }
}

/// Has Xen emulate stores to tables of level 1 (`xen_pvmmu_arch_setup()`).
fn enable_emulation(host: &Host) {
    let mut machine = host.machine.borrow_mut();
    let result = machine.vm_assist(host.vcpu(), 0, Assists::WRITABLE_PAGETABLES);
    assert_eq!(result, Ok(()));
}

/// Source of tables for the direct map (`alloc_low_pages()`): first the pages of the image that are
/// kept for that, then memory that is mapped already.
struct LowPages {
    next: usize,
}

impl LowPages {
    /// Returns an empty table by its address in the direct map.
    fn take(&mut self) -> Table {
        if self.next < static_tables::IMAGE_PAGES {
            let table = pages::alias_of(static_tables::nth(self.next));
            self.next += 1;
            clear(table);
            return table;
        }
        match OwnedPage::zeroed(&mut MaySleep::here()) {
            Some(page) => page.leak(),
            None => panic!("no memory for the direct map"),
        }
    }
}

/// Builds the direct map (`init_mem_mapping()`), from its beginning to its end.
fn map_all_memory(host: &Host) {
    let frames = StartInfo::nr_pages();
    let mut low_pages = LowPages {
        next: static_tables::FIRST_BRK,
    };
    let per_table = ENTRIES;

    for start in (0..frames).step_by(per_table) {
        let end = frames.min(start + per_table);
        let address = address::pfn_to_virt(Pfn::new(start));
        let ptr = level2_slot(address, &mut low_pages);
        let current = ptr.read();
        if current.is_none() {
            let table = low_pages.take();
            map_frames(table, start, end);
            Mm::kernel().with_page_table_lock(CallContext::here(), || {
                generic::link(Mm::kernel(), ptr, Level::L2, table);
            });
        } else if let Some(table) = Table::below(current) {
            // This is one of Xen's tables, which maps the image. Stores to it are emulated.
            host.with_emulation(|| map_frames(table, start, end));
        }
        host.pool.borrow_mut().set_nr_mapped(end);
    }
}

fn level2_slot(
    address: Vaddr,
    low_pages: &mut LowPages,
) -> crate::platform::paging::entry_ptr::EntryPtr {
    let mut table = static_tables::root();
    for level in [Level::L4, Level::L3] {
        let ptr = table.entry(address.index(level));
        if ptr.read().is_none() {
            let below = low_pages.take();
            Mm::kernel().with_page_table_lock(CallContext::here(), || {
                generic::link(Mm::kernel(), ptr, level, below);
            });
        }
        table = match Table::below(ptr.read()) {
            Some(table) => table,
            None => panic!("the direct map has no tables"),
        };
    }
    table.entry(address.index(Level::L2))
}

fn map_frames(table: Table, start: usize, end: usize) {
    for pfn in start..end {
        let ptr = table.entry(Index::wrapping(pfn));
        if ptr.read().is_none() {
            let entry = PseudoEntry::new(Pfn::new(pfn), address::kernel_rw());
            ops::set_pte(ptr, ops::make_pte(entry));
        }
    }
}

/// Sets the fixed mappings that every kernel has.
fn map_fixed() {
    let page =
        address::virt_to_phys(static_tables::nth(static_tables::FIRST_BRK - 1).vaddr()).raw();
    let flags = bits::PRESENT | bits::USER | bits::ACCESSED;
    let caller = CallContext::here();
    fixmap::set(
        fixmap_index::VSYSCALL,
        page,
        Protection::from_raw(flags),
        caller,
    );
    fixmap::set(
        fixmap_index::APIC,
        0xfee0_0000,
        address::kernel_rw(),
        caller,
    );
}
