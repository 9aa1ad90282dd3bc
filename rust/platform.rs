// SPDX-License-Identifier: GPL-2.0-only

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
//!
//! [`Early`]: early::phase::Early
//! [`Table::below`]: paging::table::Table::below

pub(crate) mod cpu;
pub(crate) mod diag;
pub(crate) mod early;
pub(crate) mod kernel;
pub(crate) mod paging;
pub(crate) mod xen;
