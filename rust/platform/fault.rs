// SPDX-License-Identifier: GPL-2.0

//! Failures on request, for tests (`CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION`).
//!
//! An operation that is to fail is kept from Xen, and its caller gets the error that was asked
//! for. Without the option, [`fault`] is nothing.

use crate::platform::abi::{
    command,
    ext,
    ExtOp,
    MmuUpdate,
    XenError, //
};

#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
use kernel::bindings;

/// What can be made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A change of protection: the old entry maps the same frame.
    Protection,
    /// Another change of an entry.
    Update,
    /// The change of an entry to a frame of another domain.
    Remap,
    /// To pin a table.
    Pin,
    /// To unpin a table.
    Unpin,
    /// Another extended operation: to load a root, to flush TLBs.
    Ext,
    /// The change of an entry that is named by the address it maps.
    VaMapping,
    /// An exchange of frames with Xen.
    Exchange,
    /// Operations on grants.
    Grant,
    /// An allocation of pages.
    Alloc,
}

impl Fault {
    /// Returns what an element of `mmu_update` counts as.
    #[inline(always)]
    pub(crate) fn of_update(update: &MmuUpdate) -> Self {
        const COMMAND: usize = 3;
        match update.raw().0 & COMMAND {
            command::PRESERVE_AD => Fault::Protection,
            _ => Fault::Update,
        }
    }

    /// Returns what an extended operation counts as.
    #[inline(always)]
    pub(crate) fn of_ext(op: &ExtOp) -> Self {
        match op.raw().0 {
            ext::PIN_L1_TABLE..ext::UNPIN_TABLE => Fault::Pin,
            ext::UNPIN_TABLE => Fault::Unpin,
            _ => Fault::Ext,
        }
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
impl Fault {
    const fn number(self) -> bindings::xen_pv_mmu_fault {
        match self {
            Fault::Protection => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_PROTECTION,
            Fault::Update => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_UPDATE,
            Fault::Remap => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_REMAP,
            Fault::Pin => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_PIN,
            Fault::Unpin => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_UNPIN,
            Fault::Ext => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_EXT,
            Fault::VaMapping => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_VA_MAPPING,
            Fault::Exchange => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_EXCHANGE,
            Fault::Grant => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_GRANT,
            Fault::Alloc => bindings::xen_pv_mmu_fault_XEN_PV_MMU_FAULT_ALLOC,
        }
    }
}

/// Returns the error with which an operation has to fail, if it has to.
#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
#[inline(never)]
pub(crate) fn fault(kind: Fault) -> Result<(), XenError> {
    // SAFETY: Only counts; may be called in any context.
    let ret = unsafe { bindings::xen_pv_mmu_fault(kind.number()) };
    XenError::check(ret as isize).map(|_| ())
}

/// Nothing fails on request in this kernel.
#[cfg(not(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION))]
#[inline(always)]
pub(crate) fn fault(_kind: Fault) -> Result<(), XenError> {
    Ok(())
}

#[cfg(all(
    CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION,
    CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST
))]
mod armed {
    use super::Fault;
    use kernel::bindings;

    /// Operations of the current task fail while this exists, for KUnit.
    #[must_use = "nothing fails any more when this is dropped"]
    pub(crate) struct Armed {
        kind: Fault,
        times: u32,
    }

    impl Armed {
        /// Lets `times` operations of `kind` fail with `errno`, from number `index` on.
        pub(crate) fn new(kind: Fault, index: u32, times: u32, errno: u32) -> Self {
            // SAFETY: Only sets counters, and a flag of the current task.
            unsafe { bindings::xen_pv_mmu_fault_arm(kind.number(), index, times, errno) };
            Self { kind, times }
        }

        /// Lets nothing fail any more; returns how many operations did.
        pub(crate) fn disarm(self) -> u32 {
            // SAFETY: As in `new()`. Dropping `self` does it once more, which changes nothing.
            self.times - unsafe { bindings::xen_pv_mmu_fault_disarm(self.kind.number()) }
        }
    }

    impl Drop for Armed {
        fn drop(&mut self) {
            // SAFETY: As in `new()`.
            unsafe { bindings::xen_pv_mmu_fault_disarm(self.kind.number()) };
        }
    }
}
#[cfg(all(
    CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION,
    CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST
))]
pub(crate) use armed::Armed;
