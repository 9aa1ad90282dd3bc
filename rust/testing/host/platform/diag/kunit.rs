// SPDX-License-Identifier: GPL-2.0

//! The suites of KUnit have all that they need here: a test that skips has failed.

use crate::platform::kernel::kernel_data;
use std::ffi::CStr;

/// Fails the test that runs.
#[track_caller]
pub(crate) fn skip(reason: &'static CStr) {
    panic!("skipped: {}", reason.to_string_lossy());
}

/// Fails the test that runs if it has no domain, and returns whether it was skipped: it was not.
#[track_caller]
pub(crate) fn skip_without_xen() -> bool {
    if !kernel_data::is_pv_domain() {
        skip(c"not in a PV domain");
    }
    false
}
