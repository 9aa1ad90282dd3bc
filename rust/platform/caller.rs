// SPDX-License-Identifier: GPL-2.0

//! Who asks for an operation, and whether it may sleep.
//!
//! Whoever may sleep holds a [`MaySleep`], and whatever sleeps wants it for itself. A batch is
//! opened, a lock taken and preemption turned off in the name of a [`Caller`]. One that comes from
//! a [`MaySleep`] borrows it for as long as that lasts: until then there is no way to sleep. Both
//! come from the edge, where C calls.

use core::marker::PhantomData;

/// Where an operation was asked for: a return address, for diagnostics only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Site(pub(crate) usize);

/// Who asks for an operation. Nothing that is given no more than this may sleep.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'context> {
    site: Site,
    _context: PhantomData<&'context MaySleep>,
}

impl Caller<'_> {
    /// Names the caller of code that does not sleep.
    ///
    /// # Safety
    ///
    /// The task does not sleep while anything is done in the name of the result.
    #[inline(always)]
    pub(crate) const unsafe fn new(site: Site) -> Self {
        Self {
            site,
            _context: PhantomData,
        }
    }

    /// Returns a caller for tests that do not sleep while they use it.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) const fn in_test() -> Self {
        // SAFETY: Tests whose batches are open call nothing that sleeps.
        unsafe { Self::new(Site::TEST) }
    }

    /// Returns where the operation was asked for.
    #[inline(always)]
    pub(crate) const fn site(self) -> Site {
        self.site
    }
}

/// Leave to sleep.
///
/// # Invariants
///
/// The task may sleep as long as nothing borrows this; or it is start of day, when nothing does.
pub(crate) struct MaySleep {
    site: Site,
}

impl MaySleep {
    /// Gives leave to sleep to what the code at `site` asks for.
    ///
    /// # Safety
    ///
    /// The type invariant holds until the result is dropped.
    #[inline(always)]
    pub(crate) const unsafe fn new(site: Site) -> Self {
        // INVARIANT: By the contract of this function.
        Self { site }
    }

    /// Returns leave to sleep for tests.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(crate) const fn in_test() -> Self {
        // INVARIANT: Tests run in tasks of their own, without locks.
        Self { site: Site::TEST }
    }

    /// Returns the caller, who must not sleep while anything is done in this name.
    #[inline(always)]
    pub(crate) const fn caller(&self) -> Caller<'_> {
        Caller {
            site: self.site,
            _context: PhantomData,
        }
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
impl Site {
    /// What tests are told by in reports that they provoke.
    pub(crate) const TEST: Self = Self(0x1234);
}
