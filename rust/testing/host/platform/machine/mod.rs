// SPDX-License-Identifier: GPL-2.0-only

//! The simulated machine, which has no counterpart in the kernel.

pub(crate) mod host;
pub(crate) mod interleave;
pub(crate) mod memory;
pub(crate) mod memory_map;
pub(crate) mod page_pool;
pub(crate) mod statics;
