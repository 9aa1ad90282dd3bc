// SPDX-License-Identifier: GPL-2.0

//! The platform on the host: the names of the kernel's, on a simulated machine.
//!
//! Each test has a machine of its own, with one domain. Its vCPUs run on one thread, one at a time;
//! `machine::host::Host::switch_to()` chooses which. What the kernel would catch at best with its
//! debugging options is a failed assertion here: an access that faults, sleeping where that is not
//! allowed, a lock taken twice, a page freed that Xen knows as a table.
//!
//! Files that both platforms share are the kernel's own. Of the others each has its namesake, with
//! the same names and signatures, and only `machine`, the simulated machine, is here alone. The
//! kernel alone has:
//!
//! - `diag/fault`: the model of Xen refuses on request, and the pool of pages runs short.
//! - `diag/probing`: the probes run against the model in a crate of their own.

pub(crate) mod cpu;
pub(crate) mod diag;
pub(crate) mod early;
pub(crate) mod kernel;
pub(crate) mod machine;
pub(crate) mod paging;
pub(crate) mod xen;
