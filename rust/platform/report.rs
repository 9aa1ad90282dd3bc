// SPDX-License-Identifier: GPL-2.0

//! What the administrator is told, on the console and in the log.

use crate::platform::Caller;
use core::ffi::CStr;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// Reports that Xen refused `what`: its target and new value, the error and who asked for it.
///
/// Such reports are rate-limited together. They do not allocate and take no locks but printk's.
#[cold]
pub(crate) fn refused(what: &'static CStr, target: usize, value: usize, error: isize, by: Caller) {
    // SAFETY: Only updates the limiter's own state.
    if !unsafe { bindings::xen_pv_mmu_may_report() } {
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

/// Writes to Xen's own console, which works from the first instruction on.
pub(crate) fn raw_console(message: &'static CStr) {
    // SAFETY: The string is terminated.
    unsafe { bindings::xen_raw_console_write(message.as_char_ptr()) }
}
