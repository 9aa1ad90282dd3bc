// SPDX-License-Identifier: GPL-2.0-only

//! Skips tests that cannot run on this machine.

use crate::platform::kernel::kernel_data;
use core::ffi::CStr;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// Marks the current test as skipped. The test then returns without a failure.
///
/// Context: any; does nothing if no test runs.
pub(crate) fn skip(reason: &'static CStr) {
    // SAFETY: The string is terminated. Where no test runs, this does nothing.
    unsafe { bindings::xen_pv_mmu_skip_test(reason.as_char_ptr()) }
}

/// Skips the current test if this is not a PV domain; returns whether it did.
///
/// Context: a test.
pub(crate) fn skip_without_xen() -> bool {
    let is_elsewhere = !kernel_data::is_pv_domain();
    if is_elsewhere {
        skip(c"not in a PV domain");
    }
    is_elsewhere
}
