// SPDX-License-Identifier: GPL-2.0-only

//! Atomic variables, with the kernel's interface.

/// Atomic variables.
pub mod atomic {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::marker::PhantomData;

    thread_local! {
        static VALUES: RefCell<HashMap<usize, usize>> = RefCell::default();
    }

    /// A static atomic variable; the backend's modules have words only.
    ///
    /// Tests run in parallel, each on a thread of its own with its own copy.
    pub struct Atomic<T>(usize, PhantomData<T>);

    /// No order with other accesses.
    pub struct Relaxed;

    impl Atomic<usize> {
        /// Returns a variable with this value.
        pub const fn new(value: usize) -> Self {
            Self(value, PhantomData)
        }

        fn key(&'static self) -> usize {
            &raw const *self as usize
        }

        /// Returns the value.
        pub fn load(&'static self, _order: Relaxed) -> usize {
            VALUES.with_borrow(|values| values.get(&self.key()).copied().unwrap_or(self.0))
        }

        /// Sets the value.
        pub fn store(&'static self, value: usize, _order: Relaxed) {
            VALUES.with_borrow_mut(|values| values.insert(self.key(), value));
        }
    }
}
