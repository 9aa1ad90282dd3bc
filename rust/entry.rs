// SPDX-License-Identifier: GPL-2.0-only

//! Page-table entries: with machine frames, as the CPU and Xen see them, and with pseudo-physical
//! frames, as the rest of Linux sees them.
//!
//! The bits are those of Intel SDM volume 3, section 5.5; which of them Xen accepts at which level
//! is in its `mm.c`, `l1_disallow_mask()` and `L2_DISALLOW_MASK` to `L4_DISALLOW_MASK`.
//!
//! Context: any, for all functions here; they only compute.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::level::PAGE_SHIFT;

/// Names of the bits of an entry.
pub(crate) mod bits {
    /// The entry is used for translation.
    pub(crate) const PRESENT: usize = 1 << 0;
    /// Writes are allowed.
    pub(crate) const RW: usize = 1 << 1;
    /// User mode may use the mapping; Xen sets it in every entry of a 64-bit guest.
    pub(crate) const USER: usize = 1 << 2;
    /// Set by the CPU when the entry is used.
    pub(crate) const ACCESSED: usize = 1 << 5;
    /// Set by the CPU when the page is written through the entry.
    pub(crate) const DIRTY: usize = 1 << 6;
    /// Above level 1: the entry maps a large page. Xen refuses it.
    pub(crate) const HUGE: usize = 1 << 7;
    /// The translation is the same in all address spaces. In an entry that is not present: it maps
    /// an inaccessible page (`_PAGE_PROTNONE`).
    pub(crate) const GLOBAL: usize = 1 << 8;
    /// Software bit of level 1: the frame has no `struct page` (`_PAGE_SPECIAL`).
    pub(crate) const SPECIAL: usize = 1 << 9;
    /// Software bit of level 1: userfaultfd watches for writes (`_PAGE_UFFD`).
    pub(crate) const UFFD_WP: usize = 1 << 10;
    /// Instructions may not be fetched.
    pub(crate) const NX: usize = 1 << 63;
    /// The bits that hold the frame number.
    pub(crate) const FRAME: usize = ((1 << 52) - 1) & !((1 << 12) - 1);
    /// The flags of an entry that points to another table of the kernel.
    pub(crate) const KERNEL_TABLE: usize = PRESENT | RW | ACCESSED | DIRTY;
    /// The flags of an entry that points to another table and translates user addresses.
    pub(crate) const USER_TABLE: usize = KERNEL_TABLE | USER;
}

/// An entry as stored in a page table: the frame is a machine frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct MachineEntry(usize);

/// An entry as generic code sees it: the frame of a present entry is a pseudo-physical frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct PseudoEntry(usize);

/// The protection part of an entry: everything but the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Protection(usize);

impl Protection {
    /// Wraps the flag bits of an entry; frame bits are dropped.
    pub(crate) const fn from_raw(flags: usize) -> Self {
        Self(flags & !bits::FRAME)
    }

    /// Returns the flag bits.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }
}

macro_rules! entry_common {
    ($name:ident, $frame:ident, $frame_of:ident) => {
        impl $name {
            /// Wraps an entry word.
            pub(crate) const fn from_raw(word: usize) -> Self {
                Self(word)
            }

            /// Returns the entry word.
            pub(crate) const fn raw(self) -> usize {
                self.0
            }

            /// Returns the entry that maps `frame` with `protection`.
            pub(crate) const fn new(frame: $frame, protection: Protection) -> Self {
                Self(((frame.raw() << PAGE_SHIFT) & bits::FRAME) | protection.0)
            }

            /// Returns the frame field; meaningful for a present entry only.
            pub(crate) const fn $frame_of(self) -> $frame {
                $frame::new((self.0 & bits::FRAME) >> PAGE_SHIFT)
            }

            /// Returns everything but the frame.
            pub(crate) const fn protection(self) -> Protection {
                Protection(self.0 & !bits::FRAME)
            }

            /// Whether the entry is used for translation.
            pub(crate) const fn is_present(self) -> bool {
                self.0 & bits::PRESENT != 0
            }

            /// Returns the entry with `flags` cleared.
            pub(crate) const fn without(self, flags: usize) -> Self {
                Self(self.0 & !flags)
            }
        }
    };
}

entry_common!(MachineEntry, Mfn, mfn);
entry_common!(PseudoEntry, Pfn, pfn);

impl PseudoEntry {
    /// Returns the entry for the frame `pages` behind that of this one.
    ///
    /// The frame of a mapping without access is inverted (`<asm/pgtable-invert.h>`).
    pub(crate) const fn behind(self, pages: usize) -> Self {
        let distance = pages << PAGE_SHIFT;
        if self.0 != 0 && !self.is_present() {
            Self(self.0.wrapping_sub(distance))
        } else {
            Self(self.0.wrapping_add(distance))
        }
    }
}

impl MachineEntry {
    /// The entry that maps nothing.
    pub(crate) const EMPTY: Self = Self(0);

    /// Whether the entry, above level 1, maps a large page.
    pub(crate) const fn is_huge(self) -> bool {
        self.0 & (bits::PRESENT | bits::HUGE) == bits::PRESENT | bits::HUGE
    }

    /// Whether the entry is empty; accessed and dirty bits may be left over.
    pub(crate) const fn is_none(self) -> bool {
        self.0 & !(bits::ACCESSED | bits::DIRTY) == 0
    }

    /// Returns the entry with `flags` set.
    pub(crate) const fn with(self, flags: usize) -> Self {
        Self(self.0 | flags)
    }

    /// Whether generic code has changed the flags of an entry whose frame it could not see.
    ///
    /// Generic code sees such an entry as not present, with frame 0 ([`to_pseudo`]). If it makes
    /// the entry present, it inverts the frame, and all ones is no frame. If it makes the entry
    /// inaccessible, the frame stays 0, and no page has the inverted frame 0
    /// (`flip_protnone_guard()`).
    ///
    /// [`to_pseudo`]: crate::convert::to_pseudo
    pub(crate) const fn has_lost_frame(self) -> bool {
        match self.is_present() {
            true => self.0 & bits::FRAME == bits::FRAME,
            false => self.0 & bits::FRAME == 0,
        }
    }

    /// Returns the entry with the frame of `self` and the flags of `new`, which has lost the frame.
    ///
    /// The result is empty if read or write access changes: Xen needs the number of the domain that
    /// owns the frame then, and only the code that mapped the frame knows it.
    pub(crate) const fn with_flags_of(self, new: Self) -> Self {
        if !new.is_present() || (self.0 ^ new.0) & (bits::PRESENT | bits::RW) != 0 {
            return Self::EMPTY;
        }
        Self::new(self.mfn(), new.protection())
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_entry)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_manual() {
        assert_eq!([bits::PRESENT, bits::RW, bits::USER], [0x1, 0x2, 0x4]);
        assert_eq!([bits::ACCESSED, bits::DIRTY], [0x20, 0x40]);
        assert_eq!([bits::HUGE, bits::GLOBAL], [0x80, 0x100]);
        // Linux uses two of the software bits.
        assert_eq!([bits::SPECIAL, bits::UFFD_WP], [0x200, 0x400]);
        assert_eq!(bits::NX, 0x8000_0000_0000_0000);
        assert_eq!(bits::FRAME, 0x000f_ffff_ffff_f000);
        assert_eq!([bits::KERNEL_TABLE, bits::USER_TABLE], [0x63, 0x67]);
    }

    #[test]
    fn frame_and_flags_stay_apart() {
        let flags = [
            bits::PRESENT,
            bits::PRESENT | bits::RW,
            bits::PRESENT | bits::RW | bits::USER | bits::ACCESSED | bits::DIRTY,
            bits::PRESENT | bits::NX,
            bits::PRESENT | (0x7ff << 52) | 0xe00,
        ];
        for frame in [0, 1, 0x12345, (1 << 40) - 1] {
            for flags in flags {
                let entry = MachineEntry::new(Mfn::new(frame), Protection::from_raw(flags));
                assert_eq!(entry.mfn(), Mfn::new(frame));
                assert_eq!(entry.protection().raw(), flags);
                assert!(entry.is_present());
            }
        }
    }

    #[test]
    fn frame_beyond_the_field_is_cut_off() {
        let entry = MachineEntry::new(Mfn::new(usize::MAX), Protection::from_raw(bits::PRESENT));
        assert_eq!(entry.mfn(), Mfn::new((1 << 40) - 1));
        assert_eq!(entry.protection().raw(), bits::PRESENT);
    }

    #[test]
    fn leftover_accessed_and_dirty_bits_are_none() {
        assert!(MachineEntry::EMPTY.is_none());
        assert!(MachineEntry::from_raw(bits::ACCESSED | bits::DIRTY).is_none());
        assert!(!MachineEntry::from_raw(bits::PRESENT).is_none());
        assert!(!MachineEntry::from_raw(bits::RW).is_none());
    }

    #[test]
    fn a_frame_that_was_not_shown_is_missed() {
        let page = MachineEntry::new(Mfn::new(0x12345), Protection::from_raw(bits::PRESENT));
        let inverted = MachineEntry::from_raw(!page.raw() & bits::FRAME | bits::GLOBAL);
        assert!(!page.has_lost_frame());
        assert!(!inverted.has_lost_frame());
        assert!(MachineEntry::from_raw(bits::FRAME | bits::PRESENT).has_lost_frame());
        assert!(MachineEntry::from_raw(bits::GLOBAL).has_lost_frame());
    }

    #[test]
    fn a_frame_that_was_not_shown_keeps_its_access_or_goes() {
        let flags = bits::PRESENT | bits::RW | bits::USER;
        let old = MachineEntry::new(Mfn::new(0x12345), Protection::from_raw(flags));
        let lost = |flags| MachineEntry::from_raw(bits::FRAME | flags);
        assert_eq!(
            old.with_flags_of(lost(flags | bits::NX)),
            old.with(bits::NX)
        );
        assert_eq!(
            old.with_flags_of(lost(flags & !bits::RW)),
            MachineEntry::EMPTY
        );
        let inaccessible = MachineEntry::from_raw(bits::GLOBAL);
        assert_eq!(old.with_flags_of(inaccessible), MachineEntry::EMPTY);
        let read_only = old.without(bits::RW);
        assert_eq!(read_only.with_flags_of(lost(flags)), MachineEntry::EMPTY);
        assert_eq!(inaccessible.with_flags_of(lost(flags)), MachineEntry::EMPTY);
    }

    #[test]
    fn frames_follow_each_other_inverted_or_not() {
        let flags = Protection::from_raw(bits::PRESENT | bits::RW | bits::NX);
        let entry = PseudoEntry::new(Pfn::new(0x123), flags);
        assert_eq!(entry.behind(2), PseudoEntry::new(Pfn::new(0x125), flags));

        let flags = Protection::from_raw(bits::ACCESSED);
        let inverted = |frame: usize| PseudoEntry::new(Pfn::new(!frame), flags);
        assert_eq!(inverted(0x123).behind(2), inverted(0x125));
    }

    #[test]
    fn only_a_present_entry_is_huge() {
        assert!(MachineEntry::from_raw(bits::PRESENT | bits::HUGE).is_huge());
        assert!(!MachineEntry::from_raw(bits::HUGE).is_huge());
        assert!(!MachineEntry::from_raw(bits::PRESENT).is_huge());
    }
}
