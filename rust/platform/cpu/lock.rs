// SPDX-License-Identifier: GPL-2.0-only

//! A spinlock in a static, which is taken with interrupts off.
//!
//! It can be used during start of day, when the kernel crate's interrupt-disabling lock cannot, and
//! whether or not interrupts are off already.

use crate::platform::cpu::call_context::CallContext;
use crate::platform::diag::report;
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

/// Whether the lock is initialised.
mod state {
    pub(super) const RAW: usize = 0;
    pub(super) const TAKEN: usize = 1;
    pub(super) const READY: usize = 2;
}

/// A spinlock around a `T`, initialised at boot.
///
/// # Invariants
///
/// - `data` is only accessed while `lock` is held.
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
    ///
    /// Context: any.
    pub(crate) const fn new(name: &'static CStr, data: T) -> Self {
        // INVARIANT: Nobody else can access the data yet, and the state is not `READY`.
        Self {
            lock: Opaque::uninit(),
            // SAFETY: Never dropped, and only used by `init()`, which takes a static.
            key: ManuallyDrop::new(unsafe { LockClassKey::new_static() }),
            name,
            state: Atomic::new(state::RAW),
            data: UnsafeCell::new(data),
        }
    }

    /// Initialises the lock, before [`Self::with`] is called; later calls do nothing.
    ///
    /// Context: any.
    pub(crate) fn init(&'static self) {
        let first = self.state.cmpxchg(state::RAW, state::TAKEN, Relaxed);
        if first.is_err() {
            return;
        }
        let key = Pin::static_ref(&*self.key).as_ptr();
        // SAFETY: The lock is in a static, so it never moves. Nobody else initialises it, because
        // the state is `TAKEN`, or uses it in `with()`, because the state is not `READY`.
        unsafe { bindings::__spin_lock_init(self.lock.get(), self.name.as_char_ptr(), key) };
        // INVARIANT: The lock was initialised above.
        self.state.store(state::READY, Release);
    }

    /// Runs `section` on the data with the lock held and interrupts off; `_caller` does not sleep
    /// until it ends.
    ///
    /// Context: any but NMIs; the caller does not hold the lock.
    pub(crate) fn with<R>(
        &'static self,
        _caller: CallContext<'_>,
        section: impl FnOnce(&mut T) -> R,
    ) -> R {
        if self.state.load(Acquire) != state::READY {
            report::die(c"a lock is used before it is initialised");
        }
        // SAFETY: By the type invariant the lock is initialised, since the state is `READY`.
        let flags = unsafe { bindings::xen_pv_mmu_lock_irqsave(self.lock.get()) };
        // SAFETY: By the type invariant this is the only reference, since the lock is held.
        let ret = section(unsafe { &mut *self.data.get() });
        // SAFETY: The lock was taken above, on this CPU, with these flags.
        unsafe { bindings::xen_pv_mmu_unlock_irqrestore(self.lock.get(), flags) };
        ret
    }
}
