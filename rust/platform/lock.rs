// SPDX-License-Identifier: GPL-2.0

//! A spinlock in a static that is taken with interrupts off.
//!
//! The users run where interrupts may or may not be off already and before the kernel crate's own
//! interrupt-disabling lock could be used: during start of day.

use crate::platform::{
    die,
    CallContext, //
};
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use kernel::bindings;
use kernel::str::CStrExt as _;
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Relaxed,
    Release, //
};
use kernel::sync::LockClassKey;
use kernel::types::Opaque;

/// What became of the lock so far.
mod state {
    pub(super) const RAW: usize = 0;
    pub(super) const TAKEN: usize = 1;
    pub(super) const READY: usize = 2;
}

/// A spinlock around a `T`, to be initialised when the machine boots.
///
/// # Invariants
///
/// - `data` is only touched while `lock` is held.
/// - `lock` is initialised if `state` is `READY`.
pub(crate) struct IrqLock<T> {
    lock: Opaque<bindings::spinlock_t>,
    key: ManuallyDrop<LockClassKey>,
    name: &'static CStr,
    state: Atomic<usize>,
    data: UnsafeCell<T>,
}

// SAFETY: The lock serialises all access to the data.
unsafe impl<T: Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// Returns a lock that lockdep knows by `name`.
    pub(crate) const fn new(name: &'static CStr, data: T) -> Self {
        // INVARIANT: Nobody else can touch the data yet, and the state is not `READY`.
        Self {
            lock: Opaque::uninit(),
            // SAFETY: Never dropped, and only used by `init()`, which takes a static.
            key: ManuallyDrop::new(unsafe { LockClassKey::new_static() }),
            name,
            state: Atomic::new(state::RAW),
            data: UnsafeCell::new(data),
        }
    }

    /// Initialises the lock, which has to happen before [`Self::with`]; later calls do nothing.
    pub(crate) fn init(&'static self) {
        let first = self.state.cmpxchg(state::RAW, state::TAKEN, Relaxed);
        if first.is_err() {
            return;
        }
        let key = Pin::static_ref(&*self.key).as_ptr();
        // SAFETY: The lock is in a static, so it never moves. Nobody else is here, as the state
        // is taken, nor in `with()`, as it is not `READY`.
        unsafe { bindings::__spin_lock_init(self.lock.get(), self.name.as_char_ptr(), key) };
        // INVARIANT: The lock is initialised.
        self.state.store(state::READY, Release);
    }

    /// Turns interrupts off, takes the lock, and runs `section` on the data for `_caller`, who
    /// does not sleep until it ends.
    pub(crate) fn with<R>(
        &'static self,
        _caller: CallContext<'_>,
        section: impl FnOnce(&mut T) -> R,
    ) -> R {
        if self.state.load(Acquire) != state::READY {
            die(c"a lock is used before it is initialised");
        }
        // SAFETY: The lock is initialised, by the type invariant.
        let flags = unsafe { bindings::xen_pv_mmu_lock_irqsave(self.lock.get()) };
        // SAFETY: The lock is held, so that this is the only reference.
        let ret = section(unsafe { &mut *self.data.get() });
        // SAFETY: The lock was taken above, on this CPU, with these flags.
        unsafe { bindings::xen_pv_mmu_unlock_irqrestore(self.lock.get(), flags) };
        ret
    }
}
