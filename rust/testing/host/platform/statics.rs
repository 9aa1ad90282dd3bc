// SPDX-License-Identifier: GPL-2.0

//! Statics of the backend: each simulated machine has a copy of its own, with the initial value.

use crate::platform::{
    current,
    host,
    CallContext,
    Early,
    IrqsOff, //
};
use std::any::Any;
use std::cell::{
    RefCell,
    UnsafeCell, //
};
use std::collections::HashMap;
use std::ffi::CStr;

/// The copies that a machine has, by the address of the static and the CPU.
#[derive(Default)]
pub(super) struct Statics(RefCell<HashMap<(usize, u32), Box<dyn Any>>>);

impl Statics {
    /// Returns the copy of a static for `cpu`.
    fn copy_of<T: 'static>(&self, initial: &'static PerMachine<T>, cpu: u32) -> *mut T {
        let key = (&raw const *initial as usize, cpu);
        let mut copies = self.0.borrow_mut();
        let copy = copies.entry(key).or_insert_with(|| {
            // SAFETY: By the type invariant the initial value owns nothing, so that it can be
            // copied any number of times.
            let value = unsafe { std::ptr::read(&raw const initial.0) };
            Box::new(UnsafeCell::new(value))
        });
        match copy.downcast_ref::<UnsafeCell<T>>() {
            Some(cell) => cell.get(),
            None => unreachable!("two statics at one address"),
        }
    }
}

/// The initial value of a static.
///
/// # Invariants
///
/// The value owns nothing. It is never used itself, only copied.
struct PerMachine<T>(T);

// SAFETY: Only bitwise copies of the value are used, each on one thread.
unsafe impl<T> Sync for PerMachine<T> {}

impl<T: 'static> PerMachine<T> {
    fn of_cpu(&'static self, cpu: u32) -> *mut T {
        host().statics.copy_of(self, cpu)
    }

    fn get(&'static self) -> *mut T {
        self.of_cpu(0)
    }
}

/// A variable of which every CPU has its own copy.
pub(crate) struct PerCpu<T>(PerMachine<T>);

impl<T: 'static> PerCpu<T> {
    /// Wraps the initial value of all copies, which owns nothing.
    pub(crate) const fn new(value: T) -> Self {
        // INVARIANT: As said above.
        Self(PerMachine(value))
    }

    /// Returns the copy of the CPU that runs.
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
    /// Reads the word of the CPU that runs.
    pub(crate) fn read(&'static self) -> usize {
        self.read_of(host().this_cpu())
    }

    /// Writes the word of the CPU that runs.
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
        $vis static $name: $crate::platform::PerCpu<$type> = $crate::platform::PerCpu::new($init);
    )*};
}
pub(crate) use define_per_cpu;

define_per_cpu! {
    /// The root table that the CPU was last given, as a pseudo-physical address.
    pub(crate) static XEN_CR3: usize = 0;

    /// The root table that Xen is known to use for the CPU: set once the hypercall is done.
    pub(crate) static LOADED_CR3: usize = 0;
}
pub(crate) use XEN_CR3 as xen_cr3;

/// A word that is set a few times during boot and read all the time.
pub(crate) struct ReadMostly(PerMachine<usize>);

impl ReadMostly {
    /// Returns a variable with this initial value.
    pub(crate) const fn new(value: usize) -> Self {
        // INVARIANT: A number owns nothing.
        Self(PerMachine(value))
    }

    /// Returns the value, which is the initial one where there is no machine.
    pub(crate) fn get(&'static self) -> usize {
        if current().is_none() {
            return self.0 .0;
        }
        // SAFETY: The copy belongs to this thread, which has no reference to it.
        unsafe { self.0.get().read() }
    }

    /// Sets the value.
    pub(crate) fn set(&'static self, value: usize) {
        // SAFETY: As in `get()`.
        unsafe { self.0.get().write(value) }
    }
}

/// A value that is set during start of day, and read later.
pub(crate) struct BootCell<T>(PerMachine<T>);

impl<T: Copy + 'static> BootCell<T> {
    /// Returns a cell with this initial value.
    pub(crate) const fn new(value: T) -> Self {
        // INVARIANT: What is `Copy` owns nothing.
        Self(PerMachine(value))
    }

    /// Returns a copy of the value.
    pub(crate) fn get(&'static self) -> T {
        if current().is_none() {
            return self.0 .0;
        }
        // SAFETY: The copy belongs to this thread, which has no reference to it.
        unsafe { self.0.get().read() }
    }

    /// Sets the value.
    pub(crate) fn set(&'static self, _: Early, value: T) {
        // SAFETY: As in `get()`.
        unsafe { self.0.get().write(value) }
    }
}

/// What is behind an [`IrqLock`].
struct Locked<T> {
    is_ready: bool,
    data: T,
}

/// A lock around a `T` that is taken with interrupts off, to be initialised when the machine boots.
pub(crate) struct IrqLock<T> {
    name: &'static CStr,
    state: PerMachine<Locked<T>>,
}

impl<T: 'static> IrqLock<T> {
    /// Returns a lock with this name; the initial value owns nothing.
    pub(crate) const fn new(name: &'static CStr, data: T) -> Self {
        let is_ready = false;
        Self {
            name,
            // INVARIANT: As said above.
            state: PerMachine(Locked { is_ready, data }),
        }
    }

    /// Initialises the lock.
    pub(crate) fn init(&'static self) {
        // SAFETY: The copy belongs to this thread, and no section runs.
        unsafe { (*self.state.get()).is_ready = true }
    }

    /// Turns interrupts off, takes the lock, and runs `section` on the data for `_caller`, which
    /// does not sleep until it ends.
    pub(crate) fn with<R>(
        &'static self,
        _caller: CallContext<'_>,
        section: impl FnOnce(&mut T) -> R,
    ) -> R {
        let name = self.name.to_str().unwrap_or_default();
        let _irqs = IrqsOff::new();
        host().with_lock(name, || {
            // SAFETY: The lock is held, so that this is the only reference.
            let state = unsafe { &mut *self.state.get() };
            assert!(state.is_ready, "{name} is used before it is initialised");
            section(&mut state.data)
        })
    }
}
