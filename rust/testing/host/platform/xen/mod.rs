// SPDX-License-Identifier: GPL-2.0-only

//! Xen: its ABI, hypercalls, grants, and the maps between frames.

#[path = "../../../../platform/xen/abi.rs"]
pub(crate) mod abi;
#[path = "../../../../platform/xen/frames.rs"]
pub(crate) mod frames;
pub(crate) mod grants;
pub(crate) mod hypercall;
pub(crate) mod machine_map;
#[path = "../../../../platform/xen/refusal.rs"]
pub(crate) mod refusal;
