// SPDX-License-Identifier: GPL-2.0-only

//! Callbacks into C.

use core::ffi::c_void;

/// A function of C and its argument.
///
/// # Invariants
///
/// The function may be called with the data, with interrupts off.
pub(crate) struct Callback {
    function: unsafe extern "C" fn(*mut c_void),
    data: *mut c_void,
}

impl Callback {
    /// Takes over a function of C and its data.
    ///
    /// Context: any.
    ///
    /// # Safety
    ///
    /// `function` may be called with `data` once, with interrupts off, at any later time.
    pub(crate) unsafe fn new(
        function: unsafe extern "C" fn(*mut c_void),
        data: *mut c_void,
    ) -> Self {
        // INVARIANT: By the contract of this function.
        Self { function, data }
    }

    /// Returns the callback of a function that may be called with anything.
    ///
    /// Context: any.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) fn of_safe(function: extern "C" fn(*mut c_void), data: *mut c_void) -> Self {
        // INVARIANT: The function is safe to call.
        Self { function, data }
    }

    /// Calls the function.
    ///
    /// Context: interrupts are off.
    pub(crate) fn run(self) {
        // SAFETY: By the type invariant.
        unsafe { (self.function)(self.data) }
    }

    /// Returns function and data, for trace events.
    ///
    /// Context: any.
    pub(crate) fn parts(&self) -> (unsafe extern "C" fn(*mut c_void), *mut c_void) {
        (self.function, self.data)
    }
}
