// SPDX-License-Identifier: GPL-2.0

//! The platform interface: the only way to the hardware, to the rest of the kernel, and to Xen.
//!
//! Above this module only `ops` names `bindings`. As far as Rust's rules on memory go, all
//! functions here are safe to call from anywhere in the crate. A wrong call can still cause damage
//! that Rust knows nothing of: a page table that Xen knows stays writable, a translation is stale,
//! or a frame is leaked. The modules above prevent that, each for its part.
//!
//! What could break memory once a second CPU runs takes an [`Early`]. One thing is relied on and
//! not shown by a type: an entry whose table is asked for, of [`Table::below`], was read from a
//! table above level 1.

pub(crate) mod abi;
mod address;
mod call_context;
mod callback;
mod context;
mod early_memory;
mod entry_ptr;
mod fault;
mod frame_list;
mod grants;
mod hypercall;
mod kernel_data;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod kunit;
mod lock;
mod machine_map;
mod mm;
mod pages;
mod percpu;
mod phase;
mod pin_state;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod probing;
mod report;
mod scan;
mod start_of_day;
pub(crate) mod stats;
mod switches;
mod table;
mod tracepoints;

pub(crate) use abi::*;
pub(crate) use address::*;
pub(crate) use call_context::*;
pub(crate) use callback::*;
pub(crate) use context::*;
pub(crate) use early_memory::*;
pub(crate) use entry_ptr::*;
pub(crate) use fault::*;
pub(crate) use frame_list::*;
pub(crate) use grants::*;
pub(crate) use hypercall::*;
pub(crate) use kernel_data::*;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) use kunit::*;
pub(crate) use lock::*;
pub(crate) use machine_map::*;
pub(crate) use mm::*;
pub(crate) use pages::*;
pub(crate) use percpu::*;
pub(crate) use phase::*;
pub(crate) use pin_state::*;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) use probing::*;
pub(crate) use report::*;
pub(crate) use start_of_day::*;
pub(crate) use switches::*;
pub(crate) use table::*;
pub(crate) use tracepoints::*;
