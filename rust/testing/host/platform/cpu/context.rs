// SPDX-License-Identifier: GPL-2.0-only

//! The context code runs in: interrupts, preemption, lazy MMU mode.

use crate::platform::cpu::call_context::{
    CallContext,
    CallSite,
    MaySleep, //
};
use crate::platform::machine::host::{
    current,
    host, //
};
use std::marker::PhantomData;
use std::panic::Location;

/// Interrupts of the running CPU are off; the drop of this restores their state.
#[must_use = "interrupts come back on when this is dropped"]
pub(crate) struct IrqsOff {
    were_off: bool,
    cpu: u32,
}

impl IrqsOff {
    /// Turns interrupts off.
    pub(crate) fn new() -> Self {
        let were_off = match current() {
            Some(host) => host.with_state(|state| std::mem::replace(&mut state.irqs_off, true)),
            None => false,
        };
        let cpu = current().map_or(0, |host| host.this_cpu());
        Self { were_off, cpu }
    }

    /// Returns the previous interrupt state.
    pub(crate) fn flags(&self) -> usize {
        self.were_off.into()
    }
}

impl Drop for IrqsOff {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some(host) = current() {
            assert_eq!(host.this_cpu(), self.cpu, "moved with interrupts off");
            host.with_state(|state| state.irqs_off = self.were_off);
        }
    }
}

/// Preemption is off until this is dropped; its caller does not sleep meanwhile.
#[must_use = "preemption comes back on when this is dropped"]
pub(crate) struct PreemptOff<'context> {
    cpu: u32,
    _caller: PhantomData<CallContext<'context>>,
}

impl<'context> PreemptOff<'context> {
    /// Turns preemption off for `_caller`.
    pub(crate) fn new(_caller: CallContext<'context>) -> Self {
        let host = host();
        host.with_state(|state| state.preempt_count += 1);
        Self {
            cpu: host.this_cpu(),
            _caller: PhantomData,
        }
    }
}

impl Drop for PreemptOff<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let host = host();
        assert_eq!(host.this_cpu(), self.cpu, "moved with preemption off");
        host.with_state(|state| state.preempt_count -= 1);
    }
}

/// Whether the current task could be moved to another CPU.
pub(crate) fn is_preemptible() -> bool {
    let state = host().state();
    state.preempt_count == 0 && !state.irqs_off && !state.in_interrupt && !state.in_nmi
}

/// Whether page-table updates of the current task may wait in the queue.
pub(crate) fn is_lazy_mmu_mode_active() -> bool {
    let state = host().state();
    state.lazy_mmu > 0 && !state.in_interrupt && !state.in_nmi
}

/// Whether this is a non-maskable interrupt, which arrives even while interrupts are off.
pub(crate) fn is_in_nmi() -> bool {
    host().state().in_nmi
}

/// Whether CPU state changes may wait in the queue: between the two hooks of a context switch.
pub(crate) fn is_lazy_cpu_mode_active() -> bool {
    host().state().lazy_cpu
}

impl CallSite {
    /// Returns the caller: the address of a [`Location`].
    #[track_caller]
    pub(crate) fn here() -> Self {
        Self(&raw const *Location::caller() as usize)
    }
}

impl CallContext<'_> {
    /// Returns the caller, for code that does not sleep.
    #[track_caller]
    pub(crate) fn here() -> Self {
        // SAFETY: `Host::assert_may_sleep()` catches sleeping.
        unsafe { Self::new(CallSite::here()) }
    }
}

impl MaySleep {
    /// Returns permission to sleep, for code that may sleep.
    #[track_caller]
    pub(crate) fn here() -> Self {
        // SAFETY: As in `CallContext::here()`.
        unsafe { Self::new(CallSite::here()) }
    }
}

/// Lets other tasks run if that is due.
pub(crate) fn cond_resched(_: &mut MaySleep) {
    host().assert_may_sleep();
}
