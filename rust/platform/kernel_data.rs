// SPDX-License-Identifier: GPL-2.0

//! Data of the kernel and of this crate that has a fixed place, and what the configuration says.

use crate::addr::{
    Maddr,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::{
    EntryPtr,
    Mm,
    ReadMostly,
    StaticTable,
    Table, //
    UnpinnedEntryPtr,
};
use core::cell::UnsafeCell;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// Whether tables of level 1 have locks of their own.
pub(crate) const SPLIT_PTE_LOCKS: bool = cfg!(CONFIG_SPLIT_PTE_PTLOCKS);

/// Up to how much memory, in GiB, the domain is to be able to grow by hotplug.
///
/// With the balloon's hotplug or without: frames of other domains are mapped beyond the memory of
/// now as well (`XEN_UNPOPULATED_ALLOC`).
pub(crate) const HOTPLUG_LIMIT_GIB: usize = hotplug_limit();

const fn hotplug_limit() -> usize {
    #[cfg(CONFIG_MEMORY_HOTPLUG)]
    {
        bindings::CONFIG_XEN_MEMORY_HOTPLUG_LIMIT as usize
    }
    #[cfg(not(CONFIG_MEMORY_HOTPLUG))]
    {
        0
    }
}

/// What lies at the places of the IO-APICs: a page of ones.
static DUMMY_PAGE: StaticTable = StaticTable::new();

/// Fills the page that stands in for hardware which is not mapped.
///
/// Context: start of day.
pub(crate) fn init_dummy_page() {
    for index in Index::all() {
        let ptr = UnpinnedEntryPtr::new(DUMMY_PAGE.table().entry(index));
        ptr.store(MachineEntry::from_raw(usize::MAX));
    }
}

/// Returns the page that stands in for hardware which is not mapped.
pub(crate) fn dummy_page() -> Table {
    DUMMY_PAGE.table()
}

/// Level 3 above the vsyscall page in user roots, which all of them share.
#[cfg(CONFIG_X86_VSYSCALL_EMULATION)]
static USER_VSYSCALL_LEVEL3: StaticTable = StaticTable::new();

/// Returns the table of level 3 above the vsyscall page that user roots share, if there is one.
pub(crate) fn user_vsyscall_table() -> Option<Table> {
    #[cfg(CONFIG_X86_VSYSCALL_EMULATION)]
    {
        Some(USER_VSYSCALL_LEVEL3.table())
    }
    #[cfg(not(CONFIG_X86_VSYSCALL_EMULATION))]
    {
        None
    }
}

/// Sets the entry of the vsyscall page in the tables of user mode.
pub(crate) fn set_user_vsyscall(page: Vaddr, entry: MachineEntry) {
    if let Some(table) = user_vsyscall_table() {
        // SAFETY: The table is a static; the kernel makes the tables below it.
        unsafe {
            bindings::set_pte_vaddr_pud(
                table.vaddr().raw() as *mut _,
                page.raw(),
                bindings::pte_t { pte: entry.raw() },
            )
        }
    }
}

/// What the address given for a fixed mapping means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FixmapKind {
    /// A pseudo-physical address.
    Memory,
    /// A pseudo-physical address, mapped for user mode as well.
    Vsyscall,
    /// Nothing: the hardware is not mapped.
    Apic,
    /// A machine address.
    Machine,
}

/// Returns what the address given for fixed mapping `index` means.
pub(crate) fn fixmap_kind(index: u32) -> FixmapKind {
    use bindings::*;

    #[cfg(CONFIG_X86_VSYSCALL_EMULATION)]
    if index == fixed_addresses_VSYSCALL_PAGE {
        return FixmapKind::Vsyscall;
    }
    #[cfg(CONFIG_X86_LOCAL_APIC)]
    if index == fixed_addresses_FIX_APIC_BASE {
        return FixmapKind::Apic;
    }
    #[cfg(CONFIG_X86_IO_APIC)]
    if (fixed_addresses_FIX_IO_APIC_BASE_0..=fixed_addresses_FIX_IO_APIC_BASE_END).contains(&index)
    {
        return FixmapKind::Apic;
    }
    if (fixed_addresses_FIX_BTMAP_END..=fixed_addresses_FIX_BTMAP_BEGIN).contains(&index) {
        return FixmapKind::Memory;
    }
    FixmapKind::Machine
}

/// Returns the machine address behind any mapped address of the kernel.
///
/// This walks the page tables for addresses outside of the direct map.
pub(crate) fn arbitrary_machine_address(vaddr: Vaddr) -> Maddr {
    // SAFETY: Callers name a mapped address.
    let machine = unsafe { bindings::arbitrary_virt_to_machine(vaddr.raw() as *mut _) };
    Maddr::new(machine.maddr as usize)
}

/// Tells the page table checker that `entry` replaces what `ptr` points to.
#[inline(always)]
pub(crate) fn check_page_table_set(mm: Mm, address: Vaddr, ptr: EntryPtr, entry: MachineEntry) {
    #[cfg(CONFIG_PAGE_TABLE_CHECK)]
    // SAFETY: The arguments are those that a hook got for this entry.
    unsafe {
        bindings::page_table_check_ptes_set(
            mm.as_ptr(),
            address.raw(),
            ptr.as_ptr(),
            bindings::pte_t { pte: entry.raw() },
            1,
        )
    };
    #[cfg(not(CONFIG_PAGE_TABLE_CHECK))]
    let _ = (mm, address, ptr, entry);
}

/// Whether the kernel counts what page tables map.
pub(crate) const PAGE_TABLE_CHECK: bool = cfg!(CONFIG_PAGE_TABLE_CHECK);

/// Tells the page table checker that `entry` goes.
#[inline(always)]
pub(crate) fn check_page_table_clear(mm: Mm, address: Vaddr, entry: MachineEntry) {
    // SAFETY: The arguments are those that a hook got for this entry.
    unsafe {
        bindings::page_table_check_pte_clear(
            mm.as_ptr(),
            address.raw(),
            bindings::pte_t { pte: entry.raw() },
        )
    }
}

/// Returns the size of the vmalloc area in bytes.
pub(crate) fn vmalloc_bytes() -> usize {
    // SAFETY: Reads what was decided at boot.
    unsafe { bindings::xen_pv_mmu_vmalloc_bytes() }
}

/// The part of the vmalloc area that the p2m list takes.
///
/// # Invariants
///
/// The addresses from `start` on are reserved for the list, for `bytes` bytes.
pub(crate) struct P2mArea {
    start: Vaddr,
    bytes: usize,
}

impl P2mArea {
    /// Takes `bytes` of the vmalloc area.
    ///
    /// Context: start of day, once.
    #[inline(always)]
    pub(crate) fn register(bytes: usize) -> Self {
        /// The vmalloc area's record of the place.
        struct Record(UnsafeCell<core::mem::MaybeUninit<bindings::vm_struct>>);

        // SAFETY: Only the boot CPU touches it, before it is handed to the vmalloc code.
        unsafe impl Sync for Record {}

        static RECORD: Record = Record(UnsafeCell::new(core::mem::MaybeUninit::zeroed()));

        let area = RECORD.0.get().cast::<bindings::vm_struct>();
        // SAFETY: The record is a static, of which all zeroes is a valid value; nobody else has it.
        let start = unsafe {
            (*area).flags = bindings::VM_ALLOC as usize;
            (*area).size = bytes;
            bindings::vm_area_register_early(area, crate::level::Level::L2.span());
            Vaddr::new((*area).addr as usize)
        };
        // INVARIANT: The vmalloc code gives it to nobody else.
        Self { start, bytes }
    }

    /// Returns where it begins.
    pub(crate) fn start(&self) -> Vaddr {
        self.start
    }

    /// Returns the size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Logs where the p2m list is, in the words that users search for.
pub(crate) fn announce_p2m_area(area: &P2mArea) {
    // SAFETY: The format fits the arguments.
    unsafe {
        bindings::_printk(
            c"\x015p2m virtual area at %p, size is %lx\n".as_char_ptr(),
            area.start().raw() as *const u8,
            area.bytes(),
        )
    };
}

/// Whether the boot parameter `xen_mc_debug` was given.
pub(crate) fn is_multicall_debug_on() -> bool {
    MULTICALL_DEBUG.get() != 0
}

static MULTICALL_DEBUG: ReadMostly = ReadMostly::new(0);

/// An early boot parameter: the kernel's `struct obs_kernel_param`, which has no binding because
/// bindings are made for modules as well.
#[repr(C)]
struct EarlyParam {
    name: *const u8,
    setup: unsafe extern "C" fn(*mut u8) -> i32,
    early: i32,
}

// SAFETY: Read-only.
unsafe impl Sync for EarlyParam {}

#[used]
#[link_section = ".init.setup"]
static XEN_MC_DEBUG: EarlyParam = {
    /// Notes that the parameter was given.
    ///
    /// # Safety
    ///
    /// None; `unsafe` because C calls it.
    #[link_section = ".init.text"]
    unsafe extern "C" fn setup(_value: *mut u8) -> i32 {
        MULTICALL_DEBUG.set(1);
        kernel::pr_info!("xen_mc_debug active\n");
        0
    }

    EarlyParam {
        name: c"xen_mc_debug".to_bytes_with_nul().as_ptr(),
        setup,
        early: 1,
    }
};

/// Whether this is a Xen PV domain.
pub(crate) fn is_pv_domain() -> bool {
    // SAFETY: Set once, before any of this runs.
    unsafe { bindings::xen_domain_type == bindings::xen_domain_type_XEN_PV_DOMAIN }
}

/// Whether `pfn` holds a part of Xen's p2m list, or a table that maps it, if those are mapped
/// separately.
pub(crate) fn is_initial_p2m_frame(pfn: crate::addr::Pfn) -> bool {
    use crate::platform::{
        StartInfo,
        KERNEL_MAP, //
    };

    let first = StartInfo::first_p2m_pfn();
    StartInfo::mfn_list() < KERNEL_MAP
        && (first..first + StartInfo::nr_p2m_frames()).contains(&pfn.raw())
}

/// Logs that the backend takes over.
pub(crate) fn announce() {
    kernel::pr_info!(
        "Rust PV MMU backend, {} page table levels\n",
        crate::platform::depth().root().number()
    );
}

/// Sets the fault address that this vCPU's next read of CR2 returns.
///
/// Nothing but instructions: the caller is `noinstr`, and neither helpers nor checks that debug
/// builds add to memory accesses are.
#[inline(always)]
pub(crate) fn set_vcpu_cr2(address: usize) {
    macro_rules! store {
        ($segment:literal) => {
            // SAFETY: The per-CPU pointer always points to a `vcpu_info`, and the word belongs to
            // this vCPU.
            unsafe {
                core::arch::asm!(
                    concat!("mov {vcpu}, qword ptr ", $segment, "[rip + {pointer}]"),
                    "mov qword ptr [{vcpu} + {cr2}], {address}",
                    vcpu = out(reg) _,
                    pointer = sym bindings::xen_vcpu,
                    cr2 = const core::mem::offset_of!(bindings::vcpu_info, arch.cr2),
                    address = in(reg) address,
                    options(nostack, preserves_flags),
                )
            }
        };
    }
    #[cfg(CONFIG_SMP)]
    store!("gs:");
    #[cfg(not(CONFIG_SMP))]
    store!("");
}
