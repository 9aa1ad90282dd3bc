// SPDX-License-Identifier: GPL-2.0

//! Atomic variables, with the kernel's interface.

/// Atomic variables.
pub mod atomic {
    use std::sync::atomic::{
        AtomicUsize,
        Ordering, //
    };

    /// An atomic variable; the backend's modules have words only.
    pub struct Atomic<T>(AtomicUsize, std::marker::PhantomData<T>);

    /// No order with other accesses.
    pub struct Relaxed;

    impl Atomic<usize> {
        /// Returns a variable with this value.
        pub const fn new(value: usize) -> Self {
            Self(AtomicUsize::new(value), std::marker::PhantomData)
        }

        /// Returns the value.
        pub fn load(&self, _order: Relaxed) -> usize {
            self.0.load(Ordering::Relaxed)
        }

        /// Sets the value.
        pub fn store(&self, value: usize, _order: Relaxed) {
            self.0.store(value, Ordering::Relaxed)
        }
    }
}
