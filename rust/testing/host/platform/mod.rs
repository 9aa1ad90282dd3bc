// SPDX-License-Identifier: GPL-2.0

//! The platform's face on the host: the names of the kernel's, on a simulated machine.
//!
//! Each test has a machine of its own, with one domain. Its vCPUs run on one thread, one at a time;
//! which one is a matter of [`Host::switch_to`]. What the kernel would catch at best with its
//! debugging options is a failed assertion here: an access that faults, sleeping where that is not
//! allowed, a lock taken twice, a page freed that Xen knows as a table.

#[path = "../../../platform/abi.rs"]
pub(crate) mod abi;
mod address;
#[path = "../../../platform/call_context.rs"]
mod call_context;
#[path = "../../../platform/callback.rs"]
mod callback;
mod context;
mod early_memory;
mod fixed;
#[path = "../../../platform/frame_list.rs"]
mod frame_list;
mod grants;
mod host;
mod hypercall;
mod interleave;
mod kunit;
mod machine_map;
mod memory;
mod memory_map;
mod mm;
mod page_pool;
mod pages;
#[path = "../../../platform/phase.rs"]
mod phase;
#[path = "../../../platform/pin_state.rs"]
mod pin_state;
mod report;
#[path = "../../../platform/scan.rs"]
mod scan;
mod start_of_day;
mod statics;
mod table;
mod trace_points;

pub(crate) use abi::*;
pub(crate) use address::*;
pub(crate) use call_context::*;
pub(crate) use callback::*;
pub(crate) use context::*;
pub(crate) use early_memory::*;
pub(crate) use fixed::*;
pub(crate) use frame_list::*;
pub(crate) use grants::*;
pub(crate) use host::*;
pub(crate) use hypercall::*;
pub(crate) use interleave::*;
pub(crate) use kunit::*;
pub(crate) use machine_map::*;
pub(crate) use memory::*;
pub(crate) use memory_map::*;
pub(crate) use mm::*;
pub(crate) use page_pool::*;
pub(crate) use pages::*;
pub(crate) use phase::*;
pub(crate) use pin_state::*;
pub(crate) use report::*;
pub(crate) use start_of_day::*;
pub(crate) use statics::*;
pub(crate) use table::*;
pub(crate) use trace_points::*;
