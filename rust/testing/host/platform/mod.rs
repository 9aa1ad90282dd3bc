// SPDX-License-Identifier: GPL-2.0-only

//! The platform on the host: the names of the kernel's, on a simulated machine.
//!
//! Each test has a machine of its own, with one domain. Its vCPUs run on one thread, one at a time;
//! `machine::host::Host::switch_to()` chooses which. An assertion fails here for errors that the
//! kernel would catch with its debugging options at best: an access that faults, sleeping where
//! that is not allowed, a lock taken twice, a page freed that Xen knows as a table.
//!
//! Files that both platforms share are the kernel's own. Each of the others has its namesake, with
//! the same names and signatures, except for `machine`, the simulated machine, which only the host
//! has. Only the kernel has:
//!
//! - `diag/fault`: on the host, the model of Xen injects faults, and the pool of pages runs short.
//! - `diag/probing`: on the host, the probes run against the model in a crate of their own.

pub(crate) mod cpu;
pub(crate) mod diag;
pub(crate) mod early;
pub(crate) mod kernel;
pub(crate) mod machine;
pub(crate) mod paging;
pub(crate) mod xen;
