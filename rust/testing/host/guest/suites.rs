// SPDX-License-Identifier: GPL-2.0-only

//! Runs the backend's KUnit suites on the host.

use crate::guest::{
    Guest,
    GuestConfig, //
};

/// Suites that inspect a running kernel: they run on a booted guest.
const LIVE: [&str; 5] = [
    "xen_pv_mmu_batch",
    "xen_pv_mmu_contiguous",
    "xen_pv_mmu_p2m",
    "xen_pv_mmu_p2m_ranges",
    "xen_pv_mmu_pte",
];

/// The result of a test.
pub(crate) trait Outcome {
    /// Fails the host test if the test failed.
    fn judge(self);
}

impl Outcome for () {
    fn judge(self) {}
}

impl Outcome for kernel::error::Result {
    #[track_caller]
    fn judge(self) {
        if let Err(error) = self {
            panic!("the test returns {error:?}");
        }
    }
}

/// Runs a test of `suite`.
#[track_caller]
pub(crate) fn run<R: Outcome>(suite: &str, test: fn() -> R) {
    if !LIVE.contains(&suite) {
        test().judge();
        return;
    }
    let guest = Guest::boot(GuestConfig::dom0(8000));
    test().judge();
    guest.assert_sound();
}
