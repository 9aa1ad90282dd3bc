// SPDX-License-Identifier: GPL-2.0

//! The backend's modules above `platform`, on the host: the same files, on a model of Xen.
//!
//! `platform` has a second face here, with the same names and signatures as in the kernel: memory
//! is that of a simulated machine, reached through the page tables that the backend makes, and
//! hypercalls go to `xen_model`. The modules above are compiled as they are. `ops`, the entry
//! points for C, is not: `guest` calls the modules in its place, in the way of the kernel's
//! generic code.
//!
//! This folder is the simulator: `platform` is the machine, `guest` what the kernel does with the
//! backend, `kernel` and `macros` what the modules use of the `kernel` crate. What is run on it
//! lies beside it: tests with fixed steps in `tests`, with random ones in `properties`.
//!
//! There is nothing to link against: the crate is its tests. Fuzz targets get `fuzz`.

#![cfg(any(test, fuzzing))]
// In the kernel, `ops` uses all there is, and the build says what nobody uses.
#![allow(dead_code)]
// Some is there for tests only.
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
