// SPDX-License-Identifier: GPL-2.0-only

//! The state of the CPU and the task: interrupts, preemption, lazy modes.

use crate::platform::cpu::call_context::{
    CallContext,
    CallSite,
    MaySleep, //
};
use core::marker::PhantomData;
use kernel::bindings;
use kernel::types::NotThreadSafe;

/// Interrupts of this CPU are off; dropping this restores the previous state.
///
/// It holds the saved flags by value, so sections may nest.
#[must_use = "interrupts come back on when this is dropped"]
pub(crate) struct IrqsOff {
    flags: usize,
    _cpu: NotThreadSafe,
}

impl IrqsOff {
    /// Turns interrupts off.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            // SAFETY: Saving the flags and disabling interrupts has no precondition.
            flags: unsafe { bindings::xen_pv_mmu_irq_save() },
            _cpu: NotThreadSafe,
        }
    }

    /// Returns the previous interrupt state.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn flags(&self) -> usize {
        self.flags
    }
}

impl Drop for IrqsOff {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `new()` saved the flags on this CPU: `Self` is not `Send`, and with interrupts
        // off the task stays on it.
        unsafe { bindings::xen_pv_mmu_irq_restore(self.flags) }
    }
}

/// Preemption is off until this is dropped. The caller does not sleep until then.
#[must_use = "preemption comes back on when this is dropped"]
pub(crate) struct PreemptOff<'context> {
    _caller: PhantomData<CallContext<'context>>,
    _cpu: NotThreadSafe,
}

impl<'context> PreemptOff<'context> {
    /// Turns preemption off for `_caller`.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn new(_caller: CallContext<'context>) -> Self {
        // SAFETY: Disabling preemption has no precondition; `drop()` is the other half.
        unsafe { bindings::xen_pv_mmu_preempt_disable() };
        Self {
            _caller: PhantomData,
            _cpu: NotThreadSafe,
        }
    }
}

impl Drop for PreemptOff<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: `new()` disabled preemption for this task.
        unsafe { bindings::xen_pv_mmu_preempt_enable() }
    }
}

/// Whether the current task may be moved to another CPU.
///
/// Context: any.
#[inline(always)]
pub(crate) fn is_preemptible() -> bool {
    // SAFETY: Only reads per-CPU state.
    unsafe { bindings::xen_pv_mmu_preemptible() }
}

/// Whether page-table updates of the current task may wait in the queue.
///
/// This is never the case in an interrupt.
///
/// Context: any.
#[inline(always)]
pub(crate) fn is_lazy_mmu_mode_active() -> bool {
    // SAFETY: Only reads state of the current task.
    unsafe { bindings::is_lazy_mmu_mode_active() }
}

/// Whether this is a non-maskable interrupt, which may occur while interrupts are off.
///
/// Context: any.
pub(crate) fn is_in_nmi() -> bool {
    // SAFETY: Only reads per-CPU state.
    unsafe { bindings::xen_pv_mmu_in_nmi() }
}

/// Whether changes of CPU state may wait in the queue, between the two hooks of a context switch.
///
/// Context: any.
#[inline(always)]
pub(crate) fn is_lazy_cpu_mode_active() -> bool {
    // SAFETY: Only reads per-CPU state.
    unsafe { bindings::xen_is_cpu_lazy_mode() }
}

impl CallSite {
    /// Returns the return address of the function that this is inlined into.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn here() -> Self {
        // SAFETY: Level 0 of the return address always exists.
        Self(unsafe { bindings::xen_pv_mmu_return_address() })
    }
}

/// Lets other tasks run if they are due.
///
/// Context: may sleep.
pub(crate) fn cond_resched(_: &mut MaySleep) {
    // SAFETY: The task may sleep, by the invariant of `MaySleep`.
    unsafe { bindings::cond_resched() }
}
