// SPDX-License-Identifier: GPL-2.0

//! Per-CPU variables defined in Rust.

use core::cell::UnsafeCell;
use kernel::bindings;

/// A variable of which every CPU has its own copy.
///
/// Use [`define_per_cpu!`] to define one.
///
/// # Invariants
///
/// The variable is a static in the section of the kernel's per-CPU data, so that the address of
/// this value is the offset that the kernel's per-CPU accessors take.
#[repr(transparent)]
pub(crate) struct PerCpu<T>(UnsafeCell<T>);

// SAFETY: The accessors hand out raw pointers or single words only; whoever uses a pointer answers
// for who else uses it.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// Wraps the initial value of all copies.
    ///
    /// # Safety
    ///
    /// The value becomes a static in the section of per-CPU data.
    pub(crate) const unsafe fn new(value: T) -> Self {
        // INVARIANT: By the contract of this function.
        Self(UnsafeCell::new(value))
    }

    /// Returns the copy of the CPU this runs on.
    ///
    /// The pointer means that copy even after the task moved to another CPU; use it with
    /// preemption off.
    #[inline(always)]
    pub(crate) fn this_cpu(&self) -> *mut T {
        // SAFETY: By the type invariant the address is that of a per-CPU variable.
        unsafe { bindings::xen_pv_mmu_this_cpu_ptr(self.0.get().cast()) }.cast()
    }

    /// As [`Self::this_cpu`], for callers that check the result against a race themselves.
    #[inline(always)]
    pub(crate) fn any_cpu(&self) -> *mut T {
        // SAFETY: By the type invariant the address is that of a per-CPU variable.
        unsafe { bindings::xen_pv_mmu_raw_cpu_ptr(self.0.get().cast()) }.cast()
    }

    /// Returns the copy of `cpu`.
    #[inline(always)]
    pub(crate) fn of_cpu(&self, cpu: u32) -> *mut T {
        // SAFETY: By the type invariant the address is that of a per-CPU variable.
        unsafe { bindings::xen_pv_mmu_per_cpu_ptr(self.0.get().cast(), cpu) }.cast()
    }
}

impl PerCpu<usize> {
    /// Reads the word of the CPU this runs on.
    ///
    /// Context: any; a single instruction does it, so that a task which is moved meanwhile gets
    /// the word of one of the CPUs while it ran there.
    #[inline(always)]
    pub(crate) fn read(&self) -> usize {
        // SAFETY: By the type invariant the address is that of a per-CPU variable. Words of
        // per-CPU data can be read at any time.
        unsafe { bindings::xen_pv_mmu_this_cpu_read(self.0.get()) }
    }

    /// Writes the word of the CPU this runs on.
    ///
    /// Context: preemption is off.
    #[inline(always)]
    pub(crate) fn write(&self, value: usize) {
        // SAFETY: Only the CPU itself writes its word, in a single store.
        unsafe { self.this_cpu().write_volatile(value) }
    }

    /// Reads the word of another CPU, which may change it at any time.
    #[inline(always)]
    pub(crate) fn read_of(&self, cpu: u32) -> usize {
        // SAFETY: As in `read()`; volatile because the CPU may write it.
        unsafe { self.of_cpu(cpu).read_volatile() }
    }
}

impl<const N: usize> PerCpu<[usize; N]> {
    /// Adds to word `index` of the CPU this runs on.
    ///
    /// Context: any; a single instruction does it.
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
    /// # Panics
    ///
    /// If there is no such word.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
    pub(crate) fn clear(&self, index: usize) {
        for cpu in 0..kernel::cpu::nr_cpu_ids() {
            // SAFETY: Words of per-CPU data are changed by single stores.
            unsafe { self.word_of(cpu, index).write_volatile(0) }
        }
    }

    /// Returns the sum of word `index` over all CPUs, which may change it at any time.
    ///
    /// # Panics
    ///
    /// If there is no such word.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
    pub(crate) fn sum(&self, index: usize) -> usize {
        (0..kernel::cpu::nr_cpu_ids())
            // SAFETY: Words of per-CPU data can be read at any time.
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
        $vis static $name: $crate::platform::PerCpu<$type> = {
            let value: $type = $init;
            // SAFETY: The static is in the section of per-CPU data; without SMP the copy of the
            // only CPU is the static itself.
            unsafe { $crate::platform::PerCpu::new(value) }
        };
    )*};
}
pub(crate) use define_per_cpu;

define_per_cpu! {
    /// The root table that the CPU has last been told to use, as a pseudo-physical address.
    ///
    /// Its own CPU sees its address space in this one; the hypercall may still be queued. Set for
    /// a starting CPU by smp_pv.c.
    #[no_mangle]
    pub(crate) static xen_cr3: usize = 0;

    /// The interrupt state saved by C's `xen_mc_batch()`; this crate keeps it in [`IrqsOff`].
    ///
    /// [`IrqsOff`]: crate::platform::IrqsOff
    #[no_mangle]
    pub(crate) static xen_mc_irq_flags: usize = 0;

    /// The root table that Xen is known to use for the CPU: set once the hypercall is done.
    ///
    /// This is the one to look at for another CPU.
    pub(crate) static LOADED_CR3: usize = 0;
}
