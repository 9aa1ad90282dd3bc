// SPDX-License-Identifier: GPL-2.0-only

//! The context of a call from C: its return address, and whether it may sleep.
//!
//! A function that sleeps takes `&mut` [`MaySleep`]. A function that opens a batch, takes a lock or
//! turns preemption off takes a [`CallContext`]. A [`CallContext`] from a [`MaySleep`] borrows it,
//! so nothing can sleep until the batch ends, the lock is dropped or preemption is on again. Only
//! the entry points create either.

use core::marker::PhantomData;

/// A return address into C, for diagnostics only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CallSite(pub(crate) usize);

/// The context of a call that may not sleep, and its call site.
#[derive(Clone, Copy)]
pub(crate) struct CallContext<'context> {
    site: CallSite,
    _context: PhantomData<&'context MaySleep>,
}

impl CallContext<'_> {
    /// Returns the context of code that does not sleep.
    ///
    /// Context: any.
    ///
    /// # Safety
    ///
    /// The task does not sleep while the result is in use.
    #[inline(always)]
    pub(crate) const unsafe fn new(site: CallSite) -> Self {
        Self {
            site,
            _context: PhantomData,
        }
    }

    /// Returns a context for tests that do not sleep while they use it.
    ///
    /// Context: a KUnit test.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) const fn in_test() -> Self {
        // SAFETY: Tests whose batches are open call nothing that sleeps.
        unsafe { Self::new(CallSite::TEST) }
    }

    /// Returns the call site.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) const fn site(self) -> CallSite {
        self.site
    }
}

/// Permission to sleep.
///
/// # Invariants
///
/// The task may sleep as long as nothing borrows this; or it is start of day, when nothing does.
pub(crate) struct MaySleep {
    site: CallSite,
}

impl MaySleep {
    /// Creates the permission for the call from `site`.
    ///
    /// Context: process context that may sleep, or start of day.
    ///
    /// # Safety
    ///
    /// The type invariant holds until the result is dropped.
    #[inline(always)]
    pub(crate) const unsafe fn new(site: CallSite) -> Self {
        // INVARIANT: By the contract of this function.
        Self { site }
    }

    /// Creates the permission for tests.
    ///
    /// Context: a KUnit test.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) const fn in_test() -> Self {
        // INVARIANT: KUnit runs tests in tasks of their own, which hold no locks.
        Self {
            site: CallSite::TEST,
        }
    }

    /// Returns a context without the permission; the permission stays borrowed while it is in use.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) const fn caller(&self) -> CallContext<'_> {
        CallContext {
            site: self.site,
            _context: PhantomData,
        }
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
impl CallSite {
    /// The call site in reports that tests provoke.
    pub(crate) const TEST: Self = Self(0x1234);
}
