// SPDX-License-Identifier: GPL-2.0-only

//! Regions of memory that get other frames.

use crate::addr::Paddr;
use core::marker::PhantomData;

/// A region of memory whose owner gives up its contents, to get other frames for it.
///
/// Context: any, for all methods.
///
/// # Invariants
///
/// The `1 << order` pages from `start` on are mapped in the direct map, and nobody else accesses
/// them while this exists.
pub(crate) struct Region<'a> {
    start: Paddr,
    order: u32,
    _owner: PhantomData<&'a mut usize>,
}

impl Region<'_> {
    /// Takes over a region of `1 << order` pages from C.
    ///
    /// # Safety
    ///
    /// The type invariant holds.
    pub(crate) unsafe fn new(start: Paddr, order: u32) -> Self {
        // INVARIANT: By the contract of this function.
        Self {
            start,
            order,
            _owner: PhantomData,
        }
    }

    /// Returns the first address of the region.
    pub(crate) fn start(&self) -> Paddr {
        self.start
    }

    /// Returns the order: there are `1 << order` pages.
    pub(crate) fn order(&self) -> u32 {
        self.order
    }
}
