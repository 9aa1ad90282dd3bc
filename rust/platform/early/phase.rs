// SPDX-License-Identifier: GPL-2.0-only

//! The two phases of the kernel's life, as values without size: a function that relies on one of
//! them takes it.

use crate::platform::xen::machine_map::ReadMostly;
use core::marker::PhantomData;

/// Start of day: one CPU runs, all page tables are the kernel's own, there is no `struct page`.
#[derive(Clone, Copy)]
pub(crate) struct Early(PhantomData<()>);

impl Early {
    /// Says that it is start of day.
    ///
    /// Context: start of day.
    ///
    /// # Safety
    ///
    /// It is, until the function that this is passed to has returned.
    #[inline(always)]
    pub(crate) const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// Not 0 once there are `struct page`s.
static STRUCT_PAGES_READY: ReadMostly = ReadMostly::new(0);

/// Run time: each frame of RAM has a `struct page`, which says whether Xen knows it as a table.
#[derive(Clone, Copy)]
pub(crate) struct RunTime(PhantomData<()>);

impl RunTime {
    /// Begins with run time.
    ///
    /// Context: start of day, once the page allocator is up (`init_after_bootmem`).
    ///
    /// # Safety
    ///
    /// Each frame of RAM has a `struct page` from now on.
    pub(crate) unsafe fn begin() -> Self {
        STRUCT_PAGES_READY.set(1);
        Self(PhantomData)
    }

    /// Returns this if it has begun.
    ///
    /// Context: any.
    #[inline(always)]
    pub(crate) fn now() -> Option<Self> {
        (STRUCT_PAGES_READY.get() != 0).then_some(Self(PhantomData))
    }
}
