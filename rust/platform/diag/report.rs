// SPDX-License-Identifier: GPL-2.0-only

//! Messages for the administrator, on the console and in the log.

use crate::platform::cpu::call_context::CallSite;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
use crate::platform::diag::kept_report::Report;
use crate::platform::xen::abi::XenError;
use crate::platform::xen::refusal::{
    Refusable,
    Refusal, //
};
use core::ffi::CStr;
use kernel::bindings;
use kernel::str::CStrExt as _;

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod kept {
    use crate::platform::cpu::call_context::CallContext;
    use crate::platform::cpu::lock::IrqLock;
    use crate::platform::diag::kept_report::Report;

    /// While this is `Some`, reports are counted and the last is kept.
    static KEPT: IrqLock<Option<(usize, Option<Report>)>> =
        IrqLock::new(c"xen_pv_mmu_reports", None);
    static ACTIVE: crate::platform::xen::machine_map::ReadMostly =
        crate::platform::xen::machine_map::ReadMostly::new(0);

    /// Keeps reports from now on.
    ///
    /// Context: a test that runs alone.
    pub(crate) fn start() {
        KEPT.init();
        KEPT.with(CallContext::in_test(), |kept| *kept = Some((0, None)));
        ACTIVE.set(1);
    }

    /// Prints reports again; returns how many were kept, and the last one.
    ///
    /// Context: as [`start`].
    pub(crate) fn stop() -> (usize, Option<Report>) {
        ACTIVE.set(0);
        KEPT.with(CallContext::in_test(), Option::take)
            .unwrap_or((0, None))
    }

    /// Keeps a report while a test collects reports; returns whether it did.
    ///
    /// Context: any; NMIs only while no test collects reports.
    pub(in crate::platform) fn keep(report: Report) -> bool {
        if ACTIVE.get() == 0 {
            return false;
        }
        KEPT.with(CallContext::in_test(), |kept| match kept {
            Some((count, last)) => {
                *count += 1;
                *last = Some(report);
                true
            }
            None => false,
        })
    }
}
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) use kept::{
    start as keep_reports,
    stop as print_reports, //
};

/// Whether another report may be printed. All reports that may occur often share one rate limit.
///
/// Context: any.
pub(crate) fn may_report() -> bool {
    // SAFETY: Only updates the limiter's own state.
    unsafe { bindings::xen_pv_mmu_may_report() }
}

/// Reports that Xen refused `operation`, with the error and the caller.
///
/// Such reports share one rate limit. They allocate nothing, and take no locks but those of printk.
///
/// Context: any.
#[cold]
pub(crate) fn report_refusal(operation: &impl Refusable, error: isize, by: CallSite) {
    print_refusal(operation.refusal(), error, by);
}

/// Does the work of [`report_refusal`], once for all kinds of operations.
fn print_refusal(refusal: Refusal, error: isize, by: CallSite) {
    let Refusal {
        what,
        target,
        value,
    } = refusal;
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    if kept::keep(Report {
        target,
        value,
        error,
        by,
    }) {
        return;
    }
    if !may_report() {
        return;
    }
    // SAFETY: The format fits the arguments: %pe takes an error pointer, %pS a code address.
    unsafe {
        bindings::_printk(
            c"\x013xen_pv_mmu: %s of %#lx <- %#lx failed: %pe, called by %pS\n".as_char_ptr(),
            what.as_char_ptr(),
            target,
            value,
            error as *const u8,
            by.0 as *const u8,
        );
    }
}

/// Stops a boot that cannot go on because Xen refused `call` on `target`.
///
/// The message also goes to Xen's console, because Linux may not have a console yet.
///
/// Context: any.
#[cold]
pub(crate) fn die_refused(
    message: &'static CStr,
    call: &'static CStr,
    target: usize,
    error: XenError,
) -> ! {
    // SAFETY: The format fits the arguments.
    unsafe {
        bindings::xen_raw_printk(
            c"xen_pv_mmu: %s: %s of %#lx returned %ld\n".as_char_ptr(),
            message.as_char_ptr(),
            call.as_char_ptr(),
            target,
            error.errno(),
        );
    }
    die(message)
}

/// Writes to Xen's console, which works from the first instruction on.
///
/// Context: any.
pub(crate) fn raw_console(message: &'static CStr) {
    // SAFETY: The string is terminated.
    unsafe { bindings::xen_raw_console_write(message.as_char_ptr()) }
}

/// Stops the machine: what happened was reported, and nothing can be saved.
///
/// Context: any.
#[cold]
pub(crate) fn die(message: &'static CStr) -> ! {
    // SAFETY: The format fits the argument.
    unsafe { bindings::panic(c"xen_pv_mmu: %s\n".as_char_ptr(), message.as_char_ptr()) };
    #[allow(unreachable_code)]
    loop {
        core::hint::spin_loop();
    }
}
