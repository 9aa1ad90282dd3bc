// SPDX-License-Identifier: GPL-2.0-only

//! The rest of the kernel: addresses, configuration, address spaces, callbacks.

pub(crate) mod address;
pub(crate) mod callback;
pub(crate) mod error;
pub(crate) mod fixmap_kind;
pub(crate) mod frame_list;
pub(crate) mod kernel_data;
pub(crate) mod layout;
pub(crate) mod mm;
pub(crate) mod switches;
