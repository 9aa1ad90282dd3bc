// SPDX-License-Identifier: GPL-2.0

//! A spinlock in a static that is taken with interrupts off.
//!
//! The users run where interrupts may or may not be off already and before the kernel crate's own
//! interrupt-disabling lock could be used: during start of day.

use core::cell::UnsafeCell;
use kernel::bindings;
use kernel::str::CStr;
use kernel::sync::LockClassKey;
use kernel::types::Opaque;

/// A spinlock around a `T`.
///
/// # Invariants
///
/// `data` is only touched while `lock` is held.
pub(crate) struct IrqLock<T> {
    lock: Opaque<bindings::spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: The lock serialises all access to the data.
unsafe impl<T: Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// Returns an unlocked lock.
    ///
    /// # Safety
    ///
    /// [`Self::init`] is called before [`Self::lock`].
    pub(crate) const unsafe fn new(data: T) -> Self {
        // INVARIANT: Nobody else can touch the data yet.
        Self {
            lock: Opaque::uninit(),
            data: UnsafeCell::new(data),
        }
    }

    /// Initialises the lock.
    ///
    /// # Safety
    ///
    /// Called once, with no other user yet.
    pub(crate) unsafe fn init(
        &'static self,
        name: &'static CStr,
        key: core::pin::Pin<&'static LockClassKey>,
    ) {
        // SAFETY: The lock is in a static, so it never moves; by the contract nobody uses it.
        unsafe {
            bindings::__spin_lock_init(
                self.lock.get(),
                kernel::str::CStrExt::as_char_ptr(name),
                key.as_ptr(),
            )
        }
    }

    /// Turns interrupts off, takes the lock, and runs `section` on the data.
    pub(crate) fn with<R>(&'static self, section: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: The lock was initialised, by the contract of `new()`.
        let flags = unsafe { bindings::xen_pv_mmu_lock_irqsave(self.lock.get()) };
        // SAFETY: The lock is held, so that this is the only reference.
        let ret = section(unsafe { &mut *self.data.get() });
        // SAFETY: The lock was taken above, on this CPU, with these flags.
        unsafe { bindings::xen_pv_mmu_unlock_irqrestore(self.lock.get(), flags) };
        ret
    }
}
