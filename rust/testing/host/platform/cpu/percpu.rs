// SPDX-License-Identifier: GPL-2.0-only

//! Variables with a copy for each CPU.

use crate::platform::machine::host::host;
use crate::platform::machine::statics::PerMachine;

/// A variable with a copy for each CPU.
pub(crate) struct PerCpu<T>(PerMachine<T>);

impl<T: 'static> PerCpu<T> {
    /// Wraps the initial value of all copies, which owns nothing.
    pub(crate) const fn new(value: T) -> Self {
        // INVARIANT: By the contract of this function.
        Self(PerMachine(value))
    }

    /// Returns the copy of the running CPU.
    pub(crate) fn this_cpu(&'static self) -> *mut T {
        let state = host().state();
        assert!(
            state.irqs_off || state.preempt_count > 0,
            "per-CPU data with preemption on"
        );
        self.any_cpu()
    }

    /// As [`Self::this_cpu`], for callers that check the result against a race themselves.
    pub(crate) fn any_cpu(&'static self) -> *mut T {
        self.0.of_cpu(host().this_cpu())
    }
}

impl PerCpu<usize> {
    /// Reads the word of the running CPU.
    pub(crate) fn read(&'static self) -> usize {
        self.read_of(host().this_cpu())
    }

    /// Writes the word of the running CPU.
    pub(crate) fn write(&'static self, value: usize) {
        // SAFETY: The copy belongs to this thread, which has no reference to it.
        unsafe { self.this_cpu().write(value) }
    }

    /// Reads the word of another CPU.
    pub(crate) fn read_of(&'static self, cpu: u32) -> usize {
        // SAFETY: As in `write()`.
        unsafe { self.0.of_cpu(cpu).read() }
    }

    /// Writes the word of another CPU, which does not run yet.
    pub(crate) fn write_of(&'static self, cpu: u32, value: usize) {
        // SAFETY: As in `write()`.
        unsafe { self.0.of_cpu(cpu).write(value) }
    }
}

/// Defines per-CPU variables.
macro_rules! define_per_cpu {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)*) => {$(
        $(#[$attr])*
        $vis static $name: $crate::platform::cpu::percpu::PerCpu<$type> =
            $crate::platform::cpu::percpu::PerCpu::new($init);
    )*};
}
pub(crate) use define_per_cpu;

define_per_cpu! {
    /// The root table that the CPU last requested from Xen, as a pseudo-physical address.
    pub(crate) static XEN_CR3: usize = 0;

    /// The root table that Xen is known to use for the CPU: set once the hypercall is done.
    pub(crate) static LOADED_CR3: usize = 0;
}
pub(crate) use XEN_CR3 as xen_cr3;
