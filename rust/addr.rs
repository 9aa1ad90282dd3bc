// SPDX-License-Identifier: GPL-2.0-only

//! Addresses and frame numbers: virtual, pseudo-physical and machine, as types of their own.
//!
//! There is no arithmetic across the types. A conversion names the map that it uses:
//! [`crate::platform`] converts between virtual and pseudo-physical addresses, [`crate::p2m`]
//! between pseudo-physical and machine frames.
//!
//! Context: any, for all functions here; they only compute.

#![forbid(unsafe_code)]

use crate::level::{
    Index,
    Level,
    PAGE_SHIFT,
    PAGE_SIZE, //
};

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

    /// Returns the frame that holds the address.
    pub(crate) const fn mfn(self) -> Mfn {
        Mfn::new(self.0 >> PAGE_SHIFT)
    }

    /// Returns the offset within the frame, in bytes.
    pub(crate) const fn offset(self) -> usize {
        self.0 & (PAGE_SIZE - 1)
    }
}

/// A pseudo-physical frame number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub(crate) struct Pfn(usize);

impl Pfn {
    /// Wraps a pseudo-physical frame number.
    pub(crate) const fn new(number: usize) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns the frame `frames` further on.
    pub(crate) const fn add(self, frames: usize) -> Self {
        Self(self.0.wrapping_add(frames))
    }

    /// Returns the pseudo-physical address of the frame.
    pub(crate) const fn paddr(self) -> Paddr {
        Paddr::new(self.0 << PAGE_SHIFT)
    }
}

/// A machine frame number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub(crate) struct Mfn(usize);

impl Mfn {
    /// Wraps a machine frame number.
    pub(crate) const fn new(number: usize) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns the frame `frames` further on in machine memory.
    pub(crate) const fn add(self, frames: usize) -> Self {
        Self(self.0.wrapping_add(frames))
    }
}
