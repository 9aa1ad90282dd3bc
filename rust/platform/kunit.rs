// SPDX-License-Identifier: GPL-2.0

//! Tests that cannot run on this machine.

use crate::platform::is_pv_domain;
use core::ffi::CStr;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// Has KUnit count the test that runs as skipped. It returns without having failed.
pub(crate) fn skip(reason: &'static CStr) {
    // SAFETY: The string is terminated. Where no test runs, this does nothing.
    unsafe { bindings::xen_pv_mmu_skip_test(reason.as_char_ptr()) }
}

/// Skips the test that runs if this is not a PV domain; returns whether it did.
pub(crate) fn skip_without_xen() -> bool {
    let is_elsewhere = !is_pv_domain();
    if is_elsewhere {
        skip(c"not in a PV domain");
    }
    is_elsewhere
}
