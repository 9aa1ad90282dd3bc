// SPDX-License-Identifier: GPL-2.0-only

//! Xen: its ABI, hypercalls, grants, and the maps between frames.

pub(crate) mod abi;
pub(crate) mod frames;
pub(crate) mod grants;
pub(crate) mod hypercall;
pub(crate) mod machine_map;
pub(crate) mod refusal;
