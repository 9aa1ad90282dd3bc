// SPDX-License-Identifier: GPL-2.0-only

//! Reports of refused operations, kept for tests to inspect.

use crate::platform::cpu::call_context::CallSite;
use crate::platform::diag::kept_report::Report;
use crate::platform::machine::host::host;
use crate::platform::xen::abi::XenError;
use crate::platform::xen::machine_map::ReadMostly;
use crate::platform::xen::refusal::{
    Refusable,
    Refusal, //
};
use kernel::log::{
    self,
    Level, //
};
use std::ffi::CStr;

static FIRST_KEPT: ReadMostly = ReadMostly::new(0);

/// Keeps reports from now on.
pub(crate) fn keep_reports() {
    FIRST_KEPT.set(host().refusals.borrow().len());
}

/// Forgets what was reported since [`keep_reports`]; returns how many there were, and the last.
pub(crate) fn print_reports() -> (usize, Option<Report>) {
    let host = host();
    let kept = host.refusals.borrow_mut().split_off(FIRST_KEPT.get());
    (kept.len(), kept.last().copied())
}

/// Whether another report is due: always on the host.
pub(crate) fn may_report() -> bool {
    true
}

/// Reports that Xen refused `operation`, with the error and the caller.
#[cold]
pub(crate) fn report_refusal(operation: &impl Refusable, error: isize, by: CallSite) {
    let Refusal {
        what,
        target,
        value,
    } = operation.refusal();
    let report = Report {
        target,
        value,
        error,
        by,
    };
    host().refusals.borrow_mut().push(report);
    let what = what.to_string_lossy();
    let text = format!("{what} of {target:#x} <- {value:#x} failed: {error}");
    log::push(Level::Info, &text);
}

/// Stops a boot that cannot continue, because Xen refused `call` on `target`.
#[cold]
pub(crate) fn die_refused(
    message: &'static CStr,
    call: &'static CStr,
    target: usize,
    error: XenError,
) -> ! {
    let (step, call) = (message.to_string_lossy(), call.to_string_lossy());
    let text = format!("{step}: {call} of {target:#x} returned {}", error.errno());
    log::push(Level::Warning, &text);
    die(message)
}

/// Writes to Xen's own console.
pub(crate) fn raw_console(message: &'static CStr) {
    log::push(Level::Warning, &message.to_string_lossy());
}

/// Stops the machine, and with it the test.
#[cold]
pub(crate) fn die(message: &'static CStr) -> ! {
    panic!("xen_pv_mmu: {}", message.to_string_lossy());
}
