// SPDX-License-Identifier: GPL-2.0-only

//! The backend's modules above `platform`, on the host: the same files, on a model of Xen.
//!
//! `platform` has a second implementation here, with the same names and signatures as in the
//! kernel. Memory is that of a simulated machine, accessed through the page tables that the backend
//! builds, and hypercalls go to `xen_model`. The modules above are compiled unchanged. `ops`, the
//! entry points for C, is not compiled: `guest` calls the modules in its place, as the kernel's
//! generic code does.
//!
//! This folder is the simulator: `platform` is the machine, `guest` does what the kernel does with
//! the backend, `kernel` and `macros` stand in for the `kernel` crate. The tests that run on it are
//! beside it: those with fixed steps in `tests`, those with random steps in `properties`.
//!
//! The crate has no interface, only tests. Fuzz targets get `fuzz`.

#![cfg(any(test, fuzzing))]
// In the kernel, `ops` uses everything, and the kernel's build reports unused code.
#![allow(dead_code)]
// Tests alone use some of it.
#![cfg_attr(fuzzing, allow(unused_imports, unused_macros))]

mod backend;
mod guest;
mod platform;
#[path = "../properties/mod.rs"]
mod properties;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;

pub(crate) use backend::*;
#[cfg(fuzzing)]
pub use properties::fuzz;
