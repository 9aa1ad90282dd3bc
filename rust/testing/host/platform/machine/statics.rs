// SPDX-License-Identifier: GPL-2.0-only

//! Statics of the backend: each simulated machine has a copy of its own, with the initial value.

use crate::platform::machine::host::host;
use std::any::Any;
use std::cell::{
    RefCell,
    UnsafeCell, //
};
use std::collections::HashMap;

/// The copies that a machine has, by the address of the static and the CPU.
#[derive(Default)]
pub(in crate::platform) struct Statics(RefCell<HashMap<(usize, u32), Box<dyn Any>>>);

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
pub(in crate::platform) struct PerMachine<T>(pub(in crate::platform) T);

// SAFETY: Only bitwise copies of the value are used, each on one thread.
unsafe impl<T> Sync for PerMachine<T> {}

impl<T: 'static> PerMachine<T> {
    pub(in crate::platform) fn of_cpu(&'static self, cpu: u32) -> *mut T {
        host().statics.copy_of(self, cpu)
    }

    pub(in crate::platform) fn get(&'static self) -> *mut T {
        self.of_cpu(0)
    }
}
