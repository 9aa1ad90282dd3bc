// SPDX-License-Identifier: GPL-2.0-only

//! Page-table entries: their bits, which of them Xen lets a guest set, and which it sets itself.

use crate::types::Mfn;

/// The entry is used for translation.
pub const PRESENT: u64 = 1 << 0;
/// Writes are allowed.
pub const RW: u64 = 1 << 1;
/// User mode may use the mapping.
pub const USER: u64 = 1 << 2;
/// Cache control: write-through.
pub const PWT: u64 = 1 << 3;
/// Cache control: disabled.
pub const PCD: u64 = 1 << 4;
/// Set by the CPU when the entry is used.
pub const ACCESSED: u64 = 1 << 5;
/// Set by the CPU when the page is written through the entry.
pub const DIRTY: u64 = 1 << 6;
/// Level 1: page attribute table. Above: a large page.
pub const PSE: u64 = 1 << 7;
/// The translation survives a load of CR3.
pub const GLOBAL: u64 = 1 << 8;
/// Bits 11:9, for software.
pub const AVAIL: u64 = 7 << 9;
/// Bit 52, with which Xen marks leaves of the guest's kernel.
pub const GUEST_KERNEL: u64 = 1 << 52;
/// Bits 62:52, for software.
pub const AVAIL_HIGH: u64 = 0x7ff << 52;
/// Instructions may not be fetched.
pub const NX: u64 = 1 << 63;
/// The frame number.
pub const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// The bits of a leaf that choose how memory is cached.
pub const CACHE: u64 = PWT | PCD | PSE;

/// Bits that may change in an entry without Xen looking at references (`FASTPATH_FLAG_WHITELIST`).
pub const CHEAP: u64 = NX | AVAIL_HIGH | AVAIL | GLOBAL | DIRTY | ACCESSED | USER;

/// Level of a table, 1 for the one with the leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Holds leaves.
    L1 = 1,
    /// Refers to tables of level 1.
    L2,
    /// Refers to tables of level 2.
    L3,
    /// The root.
    L4,
}

impl Level {
    /// All levels, the root first.
    pub const DOWN: [Level; 4] = [Level::L4, Level::L3, Level::L2, Level::L1];

    /// Returns the level of the tables that entries of this level refer to.
    pub const fn below(self) -> Option<Level> {
        match self {
            Level::L1 => None,
            Level::L2 => Some(Level::L1),
            Level::L3 => Some(Level::L2),
            Level::L4 => Some(Level::L3),
        }
    }

    /// Returns the number of the level.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Returns log2 of the bytes that an entry of this level maps.
    pub const fn shift(self) -> u32 {
        12 + 9 * (self as u32 - 1)
    }

    /// Returns the index of the entry that maps `va`.
    pub const fn index(self, va: u64) -> usize {
        ((va >> self.shift()) & 511) as usize
    }

    /// Whether slot `index` of a table of this level belongs to the guest.
    pub const fn is_guest_slot(self, index: usize) -> bool {
        !matches!(self, Level::L4) || index < 256 || index > 271
    }
}

/// The slots of a root table that are Xen's.
pub const XEN_SLOTS: std::ops::RangeInclusive<usize> = 256..=271;

/// A page-table entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(pub u64);

impl Entry {
    /// Returns the entry for `mfn` with `flags`.
    pub const fn new(mfn: Mfn, flags: u64) -> Self {
        Self((mfn.maddr() & FRAME) | flags)
    }

    /// Returns the frame field.
    pub const fn mfn(self) -> Mfn {
        Mfn((self.0 & FRAME) >> 12)
    }

    /// Whether all of `bits` are set.
    pub const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// Whether the entry is used for translation.
    pub const fn is_present(self) -> bool {
        self.has(PRESENT)
    }

    /// Whether a present entry of `level` is a large page.
    pub fn is_large(self, level: Level) -> bool {
        level != Level::L1 && self.has(PRESENT | PSE)
    }

    /// Whether a leaf allows writes.
    pub const fn is_writable(self) -> bool {
        self.has(PRESENT | RW)
    }

    /// Returns a present entry of `level` as Xen stores it.
    pub fn adjusted(self, level: Level) -> Self {
        if !self.is_present() {
            return self;
        }
        let mut word = self.0;
        match level {
            Level::L1 => {
                if word & USER == 0 {
                    word |= USER | GUEST_KERNEL;
                }
                if word & GUEST_KERNEL == 0 {
                    word |= GLOBAL;
                }
            }
            Level::L2 | Level::L3 => word |= USER,
            Level::L4 => word |= USER | ACCESSED,
        }
        Self(word)
    }

    /// Whether Xen replaces `old` by `self` without looking at references.
    pub const fn is_cheap_change(self, old: Self) -> bool {
        (self.0 ^ old.0) & !CHEAP == 0
    }
}

/// Returns the bits that Xen refuses in a present entry of `level`.
pub fn forbidden(level: Level, has_io_rights: bool, has_nx: bool) -> u64 {
    let nx = if has_nx { 0 } else { NX };
    let cache = match level {
        Level::L1 if has_io_rights => 0,
        Level::L1 => CACHE,
        _ => CACHE | GLOBAL,
    };
    nx | cache
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i12_flags_that_xen_adds() {
        let leaf = |flags| Entry::new(Mfn(5), flags).adjusted(Level::L1).0 & !FRAME;
        let user = PRESENT | USER;
        assert_eq!(leaf(PRESENT), user | GUEST_KERNEL);
        assert_eq!(leaf(PRESENT | GLOBAL), user | GUEST_KERNEL | GLOBAL);
        assert_eq!(leaf(user), user | GLOBAL);
        assert_eq!(leaf(user | GUEST_KERNEL), user | GUEST_KERNEL);
        assert_eq!(leaf(RW), RW);
        let table = |level: Level| Entry(PRESENT).adjusted(level).0;
        assert_eq!(table(Level::L2), user);
        assert_eq!(table(Level::L3), user);
        assert_eq!(table(Level::L4), user | ACCESSED);
        for level in Level::DOWN {
            let once = Entry(PRESENT | RW).adjusted(level);
            assert_eq!(once.adjusted(level), once);
        }
    }

    #[test]
    fn forbidden_bits_depend_on_level_and_rights() {
        assert_eq!(forbidden(Level::L1, true, true), 0);
        assert_eq!(forbidden(Level::L1, false, true), CACHE);
        assert_eq!(forbidden(Level::L1, true, false), NX);
        for level in [Level::L2, Level::L3, Level::L4] {
            assert_eq!(forbidden(level, true, true), CACHE | GLOBAL);
        }
    }

    #[test]
    fn slots_of_xen_are_in_the_root_only() {
        for index in 0..512 {
            assert_eq!(Level::L4.is_guest_slot(index), !XEN_SLOTS.contains(&index));
            assert!(Level::L3.is_guest_slot(index));
        }
    }
}
