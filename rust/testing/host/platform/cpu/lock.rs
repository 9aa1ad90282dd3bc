// SPDX-License-Identifier: GPL-2.0-only

//! Locks that are taken with interrupts off.

use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::IrqsOff;
use crate::platform::machine::host::host;
use crate::platform::machine::statics::PerMachine;
use std::ffi::CStr;

/// The data of an [`IrqLock`].
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
            // INVARIANT: By the contract of this function.
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
