// SPDX-License-Identifier: GPL-2.0-only

//! Optimisations of this crate that a boot parameter switches off: see `c/switches.c`.

use kernel::bindings;
use kernel::jump_label::static_branch_unlikely;

/// Whether loads of roots bypass an empty queue.
///
/// Context: any.
#[inline(always)]
pub(crate) fn writes_cr3_past_queue() -> bool {
    // SAFETY: `c/switches.c` defines this static key, as a field of the structure named here.
    unsafe {
        static_branch_unlikely!(
            bindings::xen_pv_mmu_write_cr3_key,
            bindings::xen_pv_mmu_switch,
            on
        )
    }
}
