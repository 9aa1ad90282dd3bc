// SPDX-License-Identifier: GPL-2.0

//! Optimisations of this crate that can be switched off: see `switches.c`.

use kernel::bindings;
use kernel::jump_label::static_branch_unlikely;

/// Whether roots are loaded past the queue.
#[inline(always)]
pub(crate) fn writes_cr3_past_queue() -> bool {
    // SAFETY: The key is a static key that C defines.
    unsafe {
        static_branch_unlikely!(
            bindings::xen_pv_mmu_write_cr3_key,
            bindings::xen_pv_mmu_switch,
            on
        )
    }
}
