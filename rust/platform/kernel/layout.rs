// SPDX-License-Identifier: GPL-2.0-only

//! Addresses that are the same in each kernel.

use crate::addr::Vaddr;
use crate::level::Level;

/// Start of the mapping of the kernel image.
pub(crate) const KERNEL_MAP: Vaddr = Vaddr::new(0xffff_ffff_8000_0000);

/// Address of the vsyscall page.
pub(crate) const VSYSCALL: Vaddr = Vaddr::new(0xffff_ffff_ff60_0000);

/// End of the fixed mappings, exclusive: `FIXADDR_TOP` with the page that begins there.
pub(crate) const FIXED_END: Vaddr = Vaddr::new(0xffff_ffff_ff80_0000);

/// The address of a relocated p2m list. Xen maps the first list at root entry 1 or in the kernel
/// map, so root entry 2 is free.
pub(crate) const RELOCATED_LIST: Vaddr = Vaddr::new(2 << Level::L4.shift());
