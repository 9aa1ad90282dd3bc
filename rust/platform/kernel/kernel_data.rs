// SPDX-License-Identifier: GPL-2.0-only

//! Static data of the kernel and of this crate, and values of the configuration.

use crate::addr::{
    Maddr,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::platform::diag::multicall_debug;
use crate::platform::early::phase::Early;
use crate::platform::kernel::fixmap_kind::FixmapKind;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::EntryPtr;
#[cfg(CONFIG_X86_VSYSCALL_EMULATION)]
use crate::platform::paging::table::StaticTable;
use crate::platform::paging::table::Table;
use core::cell::UnsafeCell;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// The size, in GiB, to which the domain's memory may grow by hotplug.
///
/// It matters even without hotplug by the balloon driver: frames of other domains may be mapped
/// beyond the present memory (`XEN_UNPOPULATED_ALLOC`).
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

/// The table of level 3 above the vsyscall page, which all user roots share.
#[cfg(CONFIG_X86_VSYSCALL_EMULATION)]
static USER_VSYSCALL_LEVEL3: StaticTable = StaticTable::new();

/// Returns the table of level 3 above the vsyscall page that all user roots share, if there is one.
///
/// Context: any.
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
///
/// Context: any but interrupts.
pub(crate) fn set_user_vsyscall(page: Vaddr, entry: MachineEntry) {
    if let Some(table) = user_vsyscall_table() {
        // SAFETY: The table is a static. The function adds missing tables below it itself.
        unsafe {
            bindings::set_pte_vaddr_pud(
                table.vaddr().raw() as *mut _,
                page.raw(),
                bindings::pte_t { pte: entry.raw() },
            )
        }
    }
}

/// Returns the meaning of the address of fixed mapping `index`.
///
/// Context: any.
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

/// Returns the machine address of an entry, wherever its table is mapped.
///
/// This walks the page tables for addresses outside of the direct map.
///
/// Context: any; the table stays mapped meanwhile.
pub(crate) fn arbitrary_machine_address(ptr: EntryPtr) -> Maddr {
    let vaddr = ptr.vaddr().raw() as *mut _;
    // SAFETY: The address is mapped, by the type invariant of the pointer.
    let machine = unsafe { bindings::arbitrary_virt_to_machine(vaddr) };
    Maddr::new(machine.maddr as usize)
}

/// Reports to the page table checker that `entry` replaces the entry at `ptr`.
///
/// Context: the caller holds the lock of the table, or nobody else uses the table.
#[inline(always)]
pub(crate) fn check_page_table_set(mm: Mm, address: Vaddr, ptr: EntryPtr, entry: MachineEntry) {
    #[cfg(CONFIG_PAGE_TABLE_CHECK)]
    // SAFETY: By its invariant `mm` exists and `ptr` points to an entry; the function only
    // reads entries and counts mappings of their pages.
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

/// Reports to the page table checker that `entry` is cleared.
///
/// Context: as [`check_page_table_set`].
#[inline(always)]
pub(crate) fn check_page_table_clear(mm: Mm, address: Vaddr, entry: MachineEntry) {
    // SAFETY: By its invariant `mm` exists; the function only counts mappings of the entry's
    // page.
    unsafe {
        bindings::page_table_check_pte_clear(
            mm.as_ptr(),
            address.raw(),
            bindings::pte_t { pte: entry.raw() },
        )
    }
}

/// The part of the vmalloc area that the p2m list takes.
///
/// Context: any, for methods that do not say otherwise.
///
/// # Invariants
///
/// The `bytes` bytes of address space from `start` on are reserved for the list.
pub(crate) struct P2mArea {
    start: Vaddr,
    bytes: usize,
}

impl P2mArea {
    /// Reserves `bytes` of the vmalloc area.
    ///
    /// Context: start of day, once.
    #[inline(always)]
    pub(crate) fn register(_: Early, bytes: usize) -> Self {
        /// The vmalloc area's record of the place.
        struct Record(UnsafeCell<core::mem::MaybeUninit<bindings::vm_struct>>);

        // SAFETY: Only this function touches it, with an `Early`, before the vmalloc code gets it.
        unsafe impl Sync for Record {}

        static RECORD: Record = Record(UnsafeCell::new(core::mem::MaybeUninit::zeroed()));

        let area = RECORD.0.get().cast::<bindings::vm_struct>();
        // SAFETY: The record is a static, of which all zeroes is a valid value. Nobody else has it,
        // as `Early` shows.
        let start = unsafe {
            (*area).flags = bindings::VM_ALLOC as usize;
            (*area).size = bytes;
            bindings::vm_area_register_early(area, crate::level::Level::L2.span());
            Vaddr::new((*area).addr as usize)
        };
        // INVARIANT: The vmalloc code has reserved this part, which is never freed.
        Self { start, bytes }
    }

    /// Returns the first address.
    pub(crate) fn start(&self) -> Vaddr {
        self.start
    }

    /// Returns the size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Logs the place of the p2m list, in the words that users search for.
///
/// Context: any.
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

/// An early boot parameter: the kernel's `struct obs_kernel_param`. It has no binding, because
/// bindings are generated for modules as well.
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
    /// Records that the parameter was given.
    ///
    /// # Safety
    ///
    /// None; `unsafe` because C calls it.
    #[link_section = ".init.text"]
    unsafe extern "C" fn setup(_value: *mut u8) -> i32 {
        multicall_debug::turn_on();
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
///
/// Context: any.
pub(crate) fn is_pv_domain() -> bool {
    // SAFETY: The variable is set once, before the first function of this crate is called.
    unsafe { bindings::xen_domain_type == bindings::xen_domain_type_XEN_PV_DOMAIN }
}

/// Logs that the backend is in use.
///
/// Context: any.
pub(crate) fn announce() {
    kernel::pr_info!(
        "Rust PV MMU backend, {} page table levels\n",
        crate::platform::kernel::address::depth().root().number()
    );
}

/// Sets the fault address that this vCPU's next read of CR2 returns.
///
/// It is written in assembly, because the caller is `noinstr`. Helpers, and the checks that debug
/// builds add to memory accesses, are not.
///
/// Context: preemption is off.
#[inline(always)]
pub(crate) fn set_vcpu_cr2(address: usize) {
    macro_rules! store {
        ($segment:literal) => {
            // SAFETY: The per-CPU pointer always points to the `vcpu_info` of this vCPU, which only
            // this vCPU and Xen access.
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
