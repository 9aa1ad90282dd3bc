// SPDX-License-Identifier: GPL-2.0-only

//! Diagnostics: reports, trace events, statistics, faults on request, KUnit.

#[path = "../../../../platform/diag/kept_report.rs"]
pub(crate) mod kept_report;
pub(crate) mod kunit;
#[path = "../../../../platform/diag/multicall_debug.rs"]
pub(crate) mod multicall_debug;
#[path = "../../../../platform/diag/queue_events.rs"]
pub(crate) mod queue_events;
pub(crate) mod report;
pub(crate) mod stats;
pub(crate) mod tracepoints;
