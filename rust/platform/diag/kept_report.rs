// SPDX-License-Identifier: GPL-2.0-only

//! Reports that tests look at.

use crate::platform::cpu::call_context::CallSite;

/// A report that was kept instead of printed, for tests that cause one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    pub(crate) target: usize,
    pub(crate) value: usize,
    pub(crate) error: isize,
    pub(crate) by: CallSite,
}
