// SPDX-License-Identifier: GPL-2.0

//! The context of a call from C: its return address, and whether it may sleep.
//!
//! A function that sleeps takes `&mut` [`MaySleep`]. Opening a batch, taking a lock and turning
//! preemption off take a [`CallContext`]. One that was made from a [`MaySleep`] borrows it, so
//! nothing can sleep until the batch ends, the lock is dropped or preemption is on again. Only the
//! entry points make either.

use core::marker::PhantomData;

/// A return address into C, for diagnostics only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CallSite(pub(crate) usize);

/// The context of a call that may not sleep, and where it comes from.
#[derive(Clone, Copy)]
pub(crate) struct CallContext<'context> {
    site: CallSite,
    _context: PhantomData<&'context MaySleep>,
}

impl CallContext<'_> {
    /// Returns the context of code that does not sleep.
    ///
    /// # Safety
    ///
    /// The task does not sleep while anything is done in the name of the result.
    #[inline(always)]
    pub(crate) const unsafe fn new(site: CallSite) -> Self {
        Self {
            site,
            _context: PhantomData,
        }
    }

    /// Returns a context for tests that do not sleep while they use it.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) const fn in_test() -> Self {
        // SAFETY: Tests whose batches are open call nothing that sleeps.
        unsafe { Self::new(CallSite::TEST) }
    }

    /// Returns where the operation was asked for.
    #[inline(always)]
    pub(crate) const fn site(self) -> CallSite {
        self.site
    }
}

/// Leave to sleep.
///
/// # Invariants
///
/// The task may sleep as long as nothing borrows this; or it is start of day, when nothing does.
pub(crate) struct MaySleep {
    site: CallSite,
}

impl MaySleep {
    /// Gives leave to sleep to what the code at `site` asks for.
    ///
    /// # Safety
    ///
    /// The type invariant holds until the result is dropped.
    #[inline(always)]
    pub(crate) const unsafe fn new(site: CallSite) -> Self {
        // INVARIANT: By the contract of this function.
        Self { site }
    }

    /// Returns leave to sleep for tests.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) const fn in_test() -> Self {
        // INVARIANT: Tests run in tasks of their own, without locks.
        Self {
            site: CallSite::TEST,
        }
    }

    /// Returns a context without leave to sleep: the borrow ends when nothing uses it any more.
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
