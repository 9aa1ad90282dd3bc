// SPDX-License-Identifier: GPL-2.0-only

//! Levels of page tables, their number, and the sizes of pages and tables.
//!
//! Context: any, for all functions here; they only compute.

#![forbid(unsafe_code)]

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

    /// Returns the index of entry `number`, modulo the number of entries.
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

/// Returns how many pages `bytes` bytes take.
pub(crate) const fn pages_for(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_SIZE)
}

/// The level of a page table; an entry of level 1 maps a page.
///
/// Levels are not ordered, because "greater" could mean nearer to the root or farther from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// PTEs.
    L1,
    /// PMDs.
    L2,
    /// PUDs.
    L3,
    /// P4Ds; the root of a tree of four levels, which every Xen PV guest has.
    L4,
    /// PGDs of a tree of five levels.
    L5,
}

impl Level {
    /// Returns 1 for the tables of PTEs up to 5.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Level::L1 => 1,
            Level::L2 => 2,
            Level::L3 => 3,
            Level::L4 => 4,
            Level::L5 => 5,
        }
    }

    /// Returns the number of the lowest address bit that selects an entry.
    pub(crate) const fn shift(self) -> u32 {
        PAGE_SHIFT + 9 * (self.number() - 1)
    }

    /// Returns how many bytes an entry maps.
    pub(crate) const fn span(self) -> usize {
        1 << self.shift()
    }

    /// Returns the level that the entries of this one point to; `None` for level 1.
    pub(crate) const fn below(self) -> Option<Level> {
        match self {
            Level::L1 => None,
            Level::L2 => Some(Level::L1),
            Level::L3 => Some(Level::L2),
            Level::L4 => Some(Level::L3),
            Level::L5 => Some(Level::L4),
        }
    }

    /// Returns the number that trace events of the C backend use for the level.
    pub(crate) const fn trace_id(self) -> u32 {
        5 - self.number()
    }
}

/// How many levels the page tables have, which is determined at boot.
///
/// A Xen PV guest always has four, even on a CPU that supports five.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Depth {
    /// Four levels: 48 bits of virtual address.
    Four,
    /// Five levels: 57 bits of virtual address.
    Five,
}

impl Depth {
    /// The most levels there can be.
    pub(crate) const MAX: usize = 5;

    /// Returns the level of the root table.
    pub(crate) const fn root(self) -> Level {
        match self {
            Depth::Four => Level::L4,
            Depth::Five => Level::L5,
        }
    }

    /// Returns how many bits of a virtual address are translated.
    pub(crate) const fn address_bits(self) -> u32 {
        self.root().shift() + 9
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_level)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_those_of_the_manual() {
        assert_eq!(Level::L1.span(), 4 << 10);
        assert_eq!(Level::L2.span(), 2 << 20);
        assert_eq!(Level::L3.span(), 1 << 30);
        assert_eq!(Level::L4.span(), 512 << 30);
        assert_eq!(Level::L5.span(), 256 << 40);
    }

    #[test]
    fn going_down_ends_at_level_1() {
        for depth in [Depth::Four, Depth::Five] {
            let mut level = depth.root();
            let mut levels = 1;
            while let Some(below) = level.below() {
                assert_eq!(level.span(), below.span() * 512);
                level = below;
                levels += 1;
            }
            assert_eq!(level, Level::L1);
            assert_eq!(levels, depth.root().number());
        }
        assert_eq!(Depth::Four.address_bits(), 48);
        assert_eq!(Depth::Five.address_bits(), 57);
    }

    #[test]
    fn trace_events_number_levels_from_the_root() {
        assert_eq!(Level::L5.trace_id(), 0);
        assert_eq!(Level::L1.trace_id(), 4);
    }
}
