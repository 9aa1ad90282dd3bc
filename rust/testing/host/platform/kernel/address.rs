// SPDX-License-Identifier: GPL-2.0-only

//! The layout of the kernel's address space: that of a kernel without randomised addresses.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    Protection, //
};
use crate::level::{
    Depth,
    PAGE_SHIFT, //
};
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::xen::machine_map::ReadMostly;

/// Address of fixed mapping 0, from which the others go down.
const FIXED_TOP: usize = 0xffff_ffff_ff7f_f000;

const DIRECT_MAP: usize = 0xffff_8880_0000_0000;

/// Where the vmalloc area begins.
pub(crate) const VMALLOC_START: Vaddr = Vaddr::new(0xffff_c900_0000_0000);

/// Size of the vmalloc area: 32 TiB, unless a test makes it smaller.
static VMALLOC_BYTES: ReadMostly = ReadMostly::new(32 << 40);

/// The bit that the kernel removes from all its protections under Xen.
const GLOBAL: usize = 1 << 8;

/// Returns the pseudo-physical address of a part of the direct map or the kernel image.
#[track_caller]
pub(crate) fn virt_to_phys(vaddr: Vaddr) -> Paddr {
    let address = vaddr.raw();
    match address.checked_sub(KERNEL_MAP.raw()) {
        Some(offset) => Paddr::new(offset),
        None => {
            let range = DIRECT_MAP..DIRECT_MAP + (1 << 46);
            assert!(range.contains(&address), "no address of memory: {vaddr:x?}");
            Paddr::new(address - DIRECT_MAP)
        }
    }
}

/// Returns the address of `paddr` in the direct map.
pub(crate) fn phys_to_virt(paddr: Paddr) -> Vaddr {
    Vaddr::new(DIRECT_MAP + paddr.raw())
}

/// Returns the address of `pfn` in the direct map.
pub(crate) fn pfn_to_virt(pfn: Pfn) -> Vaddr {
    phys_to_virt(pfn.paddr())
}

/// Returns where the direct map begins.
pub(crate) fn direct_map_start() -> Vaddr {
    Vaddr::new(DIRECT_MAP)
}

/// Returns how many levels the kernel's page tables have.
pub(crate) fn depth() -> Depth {
    Depth::Four
}

/// Returns the end of the part of an address space that belongs to the process, exclusive.
pub(crate) fn user_end() -> Vaddr {
    Vaddr::new(1 << 47)
}

/// Returns the address of the page for fixed mapping `index`.
pub(crate) fn fix_to_virt(index: u32) -> Vaddr {
    Vaddr::new(FIXED_TOP - ((index as usize) << PAGE_SHIFT))
}

/// Returns the size of the vmalloc area in bytes.
pub(crate) fn vmalloc_bytes() -> usize {
    VMALLOC_BYTES.get()
}

/// Makes the vmalloc area smaller.
pub(crate) fn set_vmalloc_bytes(bytes: usize) {
    VMALLOC_BYTES.set(bytes);
}

/// Returns the protection of kernel data: readable and writable.
pub(crate) fn kernel_rw() -> Protection {
    let flags = bits::PRESENT | bits::RW | bits::ACCESSED | bits::DIRTY | bits::NX;
    massage_pgprot(Protection::from_raw(flags | GLOBAL))
}

/// Returns the protection of read-only kernel data.
pub(crate) fn kernel_ro() -> Protection {
    let flags = bits::PRESENT | bits::ACCESSED | bits::NX;
    massage_pgprot(Protection::from_raw(flags | GLOBAL))
}

/// Returns `protection` without the bits that the hypervisor does not support.
pub(crate) fn massage_pgprot(protection: Protection) -> Protection {
    if protection.raw() & bits::PRESENT == 0 {
        return protection;
    }
    Protection::from_raw(protection.raw() & !GLOBAL)
}

/// Whether the CPU can forbid to execute a page.
pub(crate) fn is_nx_supported() -> bool {
    true
}
