// SPDX-License-Identifier: GPL-2.0-only

//! The hypercalls, each with the checks of Xen in their order.

mod descriptors;
pub(crate) mod grant;
pub(crate) mod memory;
pub(crate) mod mmu_update;
pub(crate) mod mmuext;
pub(crate) mod multicall;
pub(crate) mod raw;
pub(crate) mod va_mapping;
mod vm_assist;
