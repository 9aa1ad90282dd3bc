// SPDX-License-Identifier: GPL-2.0-only

//! The rest of the kernel: addresses, configuration, address spaces, callbacks.

pub(crate) mod address;
#[path = "../../../../platform/kernel/callback.rs"]
pub(crate) mod callback;
#[path = "../../../../platform/kernel/error.rs"]
pub(crate) mod error;
#[path = "../../../../platform/kernel/fixmap_kind.rs"]
pub(crate) mod fixmap_kind;
#[path = "../../../../platform/kernel/frame_list.rs"]
pub(crate) mod frame_list;
pub(crate) mod kernel_data;
#[path = "../../../../platform/kernel/layout.rs"]
pub(crate) mod layout;
pub(crate) mod mm;
pub(crate) mod switches;
