// SPDX-License-Identifier: GPL-2.0-only

//! Diagnostics: reports, trace events, statistics, faults on request, KUnit.

pub(crate) mod fault;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) mod kept_report;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) mod kunit;
pub(crate) mod multicall_debug;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) mod probing;
pub(crate) mod queue_events;
pub(crate) mod report;
pub(crate) mod stats;
pub(crate) mod tracepoints;
