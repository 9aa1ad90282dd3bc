// SPDX-License-Identifier: GPL-2.0

//! Diagnostics: reports, trace events, statistics, faults on request, KUnit.

pub(crate) mod kunit;
#[path = "../../../../platform/diag/queue_events.rs"]
pub(crate) mod queue_events;
pub(crate) mod report;
pub(crate) mod stats;
pub(crate) mod tracepoints;
