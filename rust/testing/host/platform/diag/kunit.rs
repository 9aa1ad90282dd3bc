// SPDX-License-Identifier: GPL-2.0-only

//! KUnit suites have everything they need on the host: a test that skips has failed.

use crate::platform::kernel::kernel_data;
use std::ffi::CStr;

/// Fails the running test.
#[track_caller]
pub(crate) fn skip(reason: &'static CStr) {
    panic!("skipped: {}", reason.to_string_lossy());
}

/// Fails the running test if it has no domain. Returns `false`: the test is not skipped.
#[track_caller]
pub(crate) fn skip_without_xen() -> bool {
    if !kernel_data::is_pv_domain() {
        skip(c"not in a PV domain");
    }
    false
}
