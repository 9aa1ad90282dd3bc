// SPDX-License-Identifier: GPL-2.0-only

//! Per-CPU variables defined in Rust.

use core::cell::UnsafeCell;
use kernel::bindings;

/// A variable of which every CPU has its own copy.
///
/// Use [`define_per_cpu!`] to define one.
///
/// # Invariants
///
/// The variable is a static in the section of the kernel's per-CPU data. So its address is the
/// offset that the kernel's per-CPU accessors take.
#[repr(transparent)]
pub(crate) struct PerCpu<T>(UnsafeCell<T>);

// SAFETY: The accessors only return raw pointers, or load and store single words. Code that
// dereferences a pointer has to show that nobody else uses the copy.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// Wraps the initial value of all copies.
    ///
    /// Context: the initialiser of a static.
    ///
    /// # Safety
    ///
    /// The value becomes a static in the section of per-CPU data.
    pub(crate) const unsafe fn new(value: T) -> Self {
        // INVARIANT: By the contract of this function.
        Self(UnsafeCell::new(value))
    }

    /// Returns the copy of this CPU.
    ///
    /// The pointer still points to that copy if the task moves to another CPU.
    ///
    /// Context: preemption is off.
    #[inline(always)]
    pub(crate) fn this_cpu(&self) -> *mut T {
        // SAFETY: By the type invariant the address is that of a per-CPU variable.
        unsafe { bindings::xen_pv_mmu_this_cpu_ptr(self.0.get().cast()) }.cast()
    }

    /// As [`Self::this_cpu`], for callers that may get the copy of a CPU that they have left.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn any_cpu(&self) -> *mut T {
        // SAFETY: By the type invariant the address is that of a per-CPU variable.
        unsafe { bindings::xen_pv_mmu_raw_cpu_ptr(self.0.get().cast()) }.cast()
    }

    /// Returns the copy of `cpu`.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn of_cpu(&self, cpu: u32) -> *mut T {
        // SAFETY: By the type invariant the address is that of a per-CPU variable.
        unsafe { bindings::xen_pv_mmu_per_cpu_ptr(self.0.get().cast(), cpu) }.cast()
    }
}

impl PerCpu<usize> {
    /// Reads the word of this CPU.
    ///
    /// Context: any. A single instruction reads it, so a task that moves meanwhile gets the word of
    /// the CPU on which it ran at that moment.
    #[inline(always)]
    pub(crate) fn read(&self) -> usize {
        // SAFETY: By the type invariant the address is that of a per-CPU variable. A load of one
        // word is always valid.
        unsafe { bindings::xen_pv_mmu_this_cpu_read(self.0.get()) }
    }

    /// Writes the word of this CPU.
    ///
    /// Context: preemption is off.
    #[inline(always)]
    pub(crate) fn write(&self, value: usize) {
        // SAFETY: The pointer is to the copy of this CPU. It is written in a single store, and
        // other CPUs only read it.
        unsafe { self.this_cpu().write_volatile(value) }
    }

    /// Reads the word of another CPU, which may change it at any time.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn read_of(&self, cpu: u32) -> usize {
        // SAFETY: As in `read()`; volatile because the CPU may write it.
        unsafe { self.of_cpu(cpu).read_volatile() }
    }
}

impl<const N: usize> PerCpu<[usize; N]> {
    /// Adds `amount` to word `index` of this CPU.
    ///
    /// Context: any, because a single instruction adds it.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    pub(crate) fn add(&self, index: usize, amount: usize) {
        assert!(index < N);
        // SAFETY: By the type invariant the address is that of a per-CPU variable, and that of the
        // word is within it.
        unsafe {
            let word = self.0.get().cast::<usize>().add(index);
            bindings::xen_pv_mmu_this_cpu_add(word, amount);
        }
    }

    /// Sets word `index` of all CPUs to 0.
    ///
    /// Context: any; no CPU changes the word meanwhile.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
    pub(crate) fn clear(&self, index: usize) {
        for cpu in 0..kernel::cpu::nr_cpu_ids() {
            // SAFETY: `word_of()` has checked the index. The word is changed by a single store.
            unsafe { self.word_of(cpu, index).write_volatile(0) }
        }
    }

    /// Returns the sum of word `index` over all CPUs, which may change it at any time.
    ///
    /// Context: any.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
    pub(crate) fn sum(&self, index: usize) -> usize {
        (0..kernel::cpu::nr_cpu_ids())
            // SAFETY: `word_of()` has checked the index. A load of one word is always valid.
            .map(|cpu| unsafe { self.word_of(cpu, index).read_volatile() })
            .fold(0, usize::wrapping_add)
    }

    #[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
    fn word_of(&self, cpu: u32, index: usize) -> *mut usize {
        assert!(index < N);
        self.of_cpu(cpu).cast::<usize>().wrapping_add(index)
    }
}

/// Defines per-CPU variables.
macro_rules! define_per_cpu {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;)*) => {$(
        $(#[$attr])*
        #[cfg_attr(CONFIG_SMP, link_section = ".data..percpu")]
        $vis static $name: $crate::platform::cpu::percpu::PerCpu<$type> = {
            let value: $type = $init;
            // SAFETY: The static is in the section of per-CPU data. Without SMP there is no such
            // section, and the static itself is the copy of the only CPU.
            unsafe { $crate::platform::cpu::percpu::PerCpu::new(value) }
        };
    )*};
}
pub(crate) use define_per_cpu;

define_per_cpu! {
    /// The root table that was requested last on this CPU, as a pseudo-physical address.
    ///
    /// The hypercall may still be queued, so only the CPU itself may rely on it. smp_pv.c sets it
    /// for a starting CPU.
    #[no_mangle]
    pub(crate) static xen_cr3: usize = 0;

    /// The interrupt state that C's `xen_mc_batch()` saves; this crate keeps it in [`IrqsOff`].
    ///
    /// [`IrqsOff`]: crate::platform::cpu::context::IrqsOff
    #[no_mangle]
    pub(crate) static xen_mc_irq_flags: usize = 0;

    /// The root table that Xen uses on this CPU, set once the hypercall is done, as a
    /// pseudo-physical address.
    ///
    /// Other CPUs look at this one.
    pub(crate) static LOADED_CR3: usize = 0;
}
