// SPDX-License-Identifier: GPL-2.0

//! What the CPU is doing right now: interrupts, preemption, lazy MMU mode.

use crate::platform::{
    define_per_cpu,
    CallContext,
    CallSite, //
    MaySleep,
};
use core::marker::PhantomData;
use kernel::bindings;
use kernel::types::NotThreadSafe;

/// Interrupts of this CPU are off; what they were before comes back when this is dropped.
///
/// The saved flags are held by value, so that sections may nest in any way.
#[must_use = "interrupts come back on when this is dropped"]
pub(crate) struct IrqsOff {
    flags: usize,
    _cpu: NotThreadSafe,
}

impl IrqsOff {
    /// Turns interrupts off.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            // SAFETY: Saving the flags and disabling interrupts has no precondition.
            flags: unsafe { bindings::xen_pv_mmu_irq_save() },
            _cpu: NotThreadSafe,
        }
    }

    /// Returns what the interrupt state was before.
    #[inline(always)]
    pub(crate) fn flags(&self) -> usize {
        self.flags
    }
}

impl Drop for IrqsOff {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: The flags were saved on this CPU by `new()`, and `Self` is not `Send`.
        unsafe { bindings::xen_pv_mmu_irq_restore(self.flags) }
    }
}

/// Preemption is off until this is dropped, and until then its caller does not sleep.
#[must_use = "preemption comes back on when this is dropped"]
pub(crate) struct PreemptOff<'context> {
    _caller: PhantomData<CallContext<'context>>,
    _cpu: NotThreadSafe,
}

impl<'context> PreemptOff<'context> {
    /// Turns preemption off for `_caller`.
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

/// Whether the current task could be moved to another CPU.
#[inline(always)]
pub(crate) fn is_preemptible() -> bool {
    // SAFETY: Only reads per-CPU state.
    unsafe { bindings::xen_pv_mmu_preemptible() }
}

/// Whether page-table updates of the current task may wait in the queue.
///
/// Never so in interrupt context.
#[inline(always)]
pub(crate) fn is_lazy_mmu_mode_active() -> bool {
    // SAFETY: Only reads state of the current task.
    unsafe { bindings::is_lazy_mmu_mode_active() }
}

/// Whether this is a non-maskable interrupt, which comes while interrupts are off as well.
///
/// Context: any.
pub(crate) fn is_in_nmi() -> bool {
    // SAFETY: Only reads per-CPU state.
    unsafe { bindings::xen_pv_mmu_in_nmi() }
}

define_per_cpu! {
    /// Not 0 while `mremap()` moves a whole table on this CPU.
    static TABLE_MOVE: usize = 0;
}

/// Notes that `mremap()` begins to move a whole table, or has done it.
///
/// Context: holds the locks of both entries of level 2, so that the task stays on its CPU, and is
/// in lazy MMU mode.
pub(crate) fn note_table_move(is_going_on: bool) {
    TABLE_MOVE.write(is_going_on.into());
}

/// Whether the task moves a whole table, with the locks of both entries of level 2 held until its
/// section of lazy MMU mode ends.
pub(crate) fn is_moving_table() -> bool {
    TABLE_MOVE.read() != 0 && is_lazy_mmu_mode_active()
}

/// Whether CPU state changes may wait in the queue: so between the two hooks of a context switch.
#[inline(always)]
pub(crate) fn is_lazy_cpu_mode_active() -> bool {
    // SAFETY: Only reads per-CPU state.
    unsafe { bindings::xen_is_cpu_lazy_mode() }
}

impl CallSite {
    /// Returns where the function was called that this is inlined into.
    #[inline(always)]
    pub(crate) fn here() -> Self {
        // SAFETY: Level 0 of the return address always exists.
        Self(unsafe { bindings::xen_pv_mmu_return_address() })
    }
}

/// Lets other tasks run if that is due.
///
/// Context: may sleep.
pub(crate) fn cond_resched(_: &mut MaySleep) {
    // SAFETY: The task may sleep, by the invariant of `MaySleep`.
    unsafe { bindings::cond_resched() }
}
