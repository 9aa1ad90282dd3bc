// SPDX-License-Identifier: GPL-2.0

//! Addresses: virtual, pseudo-physical and machine, as three types.
//!
//! There is no arithmetic across the types. Turning one into another always names the map that is
//! consulted: [`crate::platform`] for virtual to pseudo-physical, [`crate::p2m`] for
//! pseudo-physical to machine.

#![forbid(unsafe_code)]

use crate::frame::{
    Mfn,
    Pfn, //
};
use crate::level::Level;

/// Number of bits in the offset part of an address.
pub(crate) const PAGE_SHIFT: u32 = 12;

/// Size of a page in bytes.
pub(crate) const PAGE_SIZE: usize = 1 << PAGE_SHIFT;

/// Number of entries in a page table of any level.
pub(crate) const ENTRIES: usize = 512;

/// The number of an entry in a page table of any level.
///
/// # Invariants
///
/// Below [`ENTRIES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub(crate) struct Index(usize);

impl Index {
    /// The first entry.
    pub(crate) const FIRST: Self = Self(0);

    /// Returns the index of entry `number`, if a table has that many.
    pub(crate) const fn new(number: usize) -> Option<Self> {
        if number < ENTRIES {
            // INVARIANT: As checked.
            Some(Self(number))
        } else {
            None
        }
    }

    /// Returns the index at which counting to `number` ends, if 0 follows the last one.
    pub(crate) const fn wrapping(number: usize) -> Self {
        // INVARIANT: `ENTRIES` is a power of two.
        Self(number & (ENTRIES - 1))
    }

    /// Returns the index of the entry that lies `bytes` into a page.
    pub(crate) const fn at_offset(bytes: usize) -> Self {
        Self::wrapping(bytes / size_of::<usize>())
    }

    /// Returns the number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns this index and all behind it.
    pub(crate) fn and_behind(self) -> impl Iterator<Item = Self> {
        // INVARIANT: The range ends with the last entry.
        (self.0..ENTRIES).map(Self)
    }

    /// Returns the indices of all entries.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::FIRST.and_behind()
    }
}

/// Number of pages that hold `bytes` bytes.
pub(crate) const fn pages_for(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_SIZE)
}

/// A virtual address of the kernel or of a process, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub(crate) struct Vaddr(usize);

impl Vaddr {
    /// Wraps a virtual address.
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    /// Returns the address as a number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns the start of the page that holds the address.
    pub(crate) const fn page_start(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// Returns the offset within the page, in bytes.
    pub(crate) const fn page_offset(self) -> usize {
        self.0 & (PAGE_SIZE - 1)
    }

    /// Returns the address `bytes` further on.
    pub(crate) const fn add(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Returns the index of the entry that translates the address in a table of `level`.
    pub(crate) const fn index(self, level: Level) -> Index {
        Index::wrapping(self.0 >> level.shift())
    }
}

/// A pseudo-physical address: what the rest of Linux calls a physical address, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub(crate) struct Paddr(usize);

impl Paddr {
    /// Wraps a pseudo-physical address.
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    /// Returns the address as a number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns the frame that holds the address.
    pub(crate) const fn pfn(self) -> Pfn {
        Pfn::new(self.0 >> PAGE_SHIFT)
    }

    /// Returns the offset within the frame, in bytes.
    pub(crate) const fn offset(self) -> usize {
        self.0 & (PAGE_SIZE - 1)
    }
}

/// A machine address: what the CPU's page tables and devices use, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Maddr(usize);

impl Maddr {
    /// Wraps a machine address.
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    /// Returns the address of byte `offset` in the frame `mfn`.
    pub(crate) const fn in_frame(mfn: Mfn, offset: usize) -> Self {
        Self((mfn.raw() << PAGE_SHIFT) | offset)
    }

    /// Returns the address `bytes` further on.
    pub(crate) const fn add(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Returns the address as a number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }
}
