// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's address space: the places of its parts, and conversions of addresses.
//!
//! Context: any, for all functions here; they only compute or read.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::Protection;
use crate::level::Depth;
use kernel::bindings;

/// Returns the pseudo-physical address of a part of the direct map or the kernel image.
#[inline(always)]
pub(crate) fn virt_to_phys(vaddr: Vaddr) -> Paddr {
    // SAFETY: Only computes; debug builds check that the address is in range.
    Paddr::new(unsafe { bindings::xen_pv_mmu_pa(vaddr.raw() as *const _) })
}

/// Returns the address of `paddr` in the direct map.
#[inline(always)]
pub(crate) fn phys_to_virt(paddr: Paddr) -> Vaddr {
    // SAFETY: Only computes.
    Vaddr::new(unsafe { bindings::xen_pv_mmu_va(paddr.raw()) } as usize)
}

/// Returns the address of `pfn` in the direct map.
#[inline(always)]
pub(crate) fn pfn_to_virt(pfn: Pfn) -> Vaddr {
    phys_to_virt(pfn.paddr())
}

/// Returns the start of the direct map in a kernel with four levels.
pub(crate) fn direct_map_start() -> Vaddr {
    // SAFETY: Reads a constant or a variable set at start of day.
    Vaddr::new(unsafe { bindings::xen_pv_mmu_page_offset_l4() })
}

/// Returns how many levels the kernel's page tables have.
pub(crate) fn depth() -> Depth {
    // SAFETY: Only reads a variable that is set at boot.
    if unsafe { bindings::pgtable_l5_enabled() } {
        Depth::Five
    } else {
        Depth::Four
    }
}

/// Returns the end of the part of an address space that belongs to the process, exclusive.
///
/// It is a multiple of the span of a root entry.
pub(crate) fn user_end() -> Vaddr {
    // SAFETY: Only reads a variable that is set at boot.
    let top = unsafe { bindings::xen_pv_mmu_task_size_max() };
    let span = depth().root().span();
    Vaddr::new((top + span - 1) & !(span - 1))
}

/// Returns the address of the page for fixed mapping `index`.
pub(crate) fn fix_to_virt(index: u32) -> Vaddr {
    // SAFETY: Only computes.
    Vaddr::new(unsafe { bindings::xen_pv_mmu_fix_to_virt(index) })
}

/// Returns the protection of kernel data: readable and writable.
#[inline(always)]
pub(crate) fn kernel_rw() -> Protection {
    // SAFETY: Reads masks that are set at boot.
    massage_pgprot(Protection::from_raw(unsafe {
        bindings::xen_pv_mmu_page_kernel()
    }))
}

/// Returns the protection of read-only kernel data.
#[inline(always)]
pub(crate) fn kernel_ro() -> Protection {
    // SAFETY: Reads masks that are set at boot.
    massage_pgprot(Protection::from_raw(unsafe {
        bindings::xen_pv_mmu_page_kernel_ro()
    }))
}

/// Returns `protection` without the bits that the CPU or the hypervisor does not support.
#[inline(always)]
pub(crate) fn massage_pgprot(protection: Protection) -> Protection {
    let prot = bindings::pgprot {
        pgprot: protection.raw(),
    };
    // SAFETY: Reads masks that are set at boot.
    Protection::from_raw(unsafe { bindings::xen_pv_mmu_massage_pgprot(prot) })
}

/// Whether the CPU supports pages that are not executable.
pub(crate) fn is_nx_supported() -> bool {
    // SAFETY: Reads a mask that is set at boot.
    unsafe { bindings::xen_pv_mmu_nx_supported() }
}

/// Returns the size of the vmalloc area in bytes.
pub(crate) fn vmalloc_bytes() -> usize {
    // SAFETY: Only reads variables that are set at start of day.
    unsafe { bindings::xen_pv_mmu_vmalloc_bytes() }
}
