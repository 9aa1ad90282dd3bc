// SPDX-License-Identifier: GPL-2.0-only

//! Fault injection (`CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION`).
//!
//! An operation that has to fail does not reach Xen, and its caller gets the configured error.
//! Without the option, [`inject`] compiles to nothing.
//!
//! Context: any, for all functions here.

use crate::platform::xen::abi::{
    command,
    ext,
    ExtOp,
    MmuUpdate,
    XenError, //
};

#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
use kernel::bindings;

/// The kinds of operations that can fail on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A change of protection: the new entry has the frame of the old one.
    Protection,
    /// Another change of an entry.
    Update,
    /// The change of an entry to a frame of another domain.
    Remap,
    /// Pinning a table.
    Pin,
    /// Unpinning a table.
    Unpin,
    /// Another extended operation: loading a root, flushing TLBs.
    Ext,
    /// The change of an entry that is named by the address that it maps.
    VaMapping,
    /// An exchange of frames with Xen.
    Exchange,
    /// Operations on grants.
    Grant,
    /// An allocation of pages.
    Alloc,
}

impl Fault {
    /// Returns the kind of an element of `mmu_update`.
    #[inline(always)]
    pub(crate) fn of_update(update: &MmuUpdate) -> Self {
        const COMMAND: usize = 3;
        match update.raw().0 & COMMAND {
            command::PRESERVE_AD => Fault::Protection,
            _ => Fault::Update,
        }
    }

    /// Returns the kind of an extended operation.
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

/// Returns an error if an operation of `kind` has to fail now.
#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
#[inline(never)]
pub(crate) fn inject(kind: Fault) -> Result<(), XenError> {
    // SAFETY: Only counts; may be called in any context.
    let ret = unsafe { bindings::xen_pv_mmu_fault(kind.number()) };
    XenError::check(ret as isize).map(|_| ())
}

/// In this kernel nothing fails on request.
#[cfg(not(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION))]
#[inline(always)]
pub(crate) fn inject(_kind: Fault) -> Result<(), XenError> {
    Ok(())
}

/// Runs `allocate`, in which the allocator may change mappings; these changes do not fail.
///
/// Context: a task; as `allocate`.
#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
pub(crate) fn paused<R>(allocate: impl FnOnce() -> R) -> R {
    // SAFETY: Only changes a flag of the current task.
    let fails = unsafe { bindings::xen_pv_mmu_fault_pause() };
    let result = allocate();
    // SAFETY: As above.
    unsafe { bindings::xen_pv_mmu_fault_resume(fails) };
    result
}

/// In this kernel nothing fails on request.
#[cfg(not(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION))]
#[inline(always)]
pub(crate) fn paused<R>(allocate: impl FnOnce() -> R) -> R {
    allocate()
}

#[cfg(all(
    CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION,
    CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST
))]
mod armed {
    use super::Fault;
    use kernel::bindings;

    /// While this exists, operations of the current task fail, for KUnit.
    #[must_use = "nothing fails any more when this is dropped"]
    pub(crate) struct Armed {
        kind: Fault,
        times: u32,
    }

    impl Armed {
        /// Makes `times` operations of `kind` fail with `errno`, from number `index` on.
        pub(crate) fn new(kind: Fault, index: u32, times: u32, errno: u32) -> Self {
            // SAFETY: Only sets counters, and a flag of the current task.
            unsafe { bindings::xen_pv_mmu_fault_arm(kind.number(), index, times, errno) };
            Self { kind, times }
        }

        /// Ends the injection; returns how many operations failed.
        pub(crate) fn disarm(self) -> u32 {
            // SAFETY: As in `new()`. Dropping `self` calls it again, which changes nothing.
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
