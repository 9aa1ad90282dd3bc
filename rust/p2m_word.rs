// SPDX-License-Identifier: GPL-2.0-only

//! Words of the p2m list.
//!
//! A [`P2mWord`] has tag bits. The only way to an [`Mfn`] strips them.
//!
//! Context: any, for all functions here; they only compute.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Pfn, //
};

/// The meaning of a word of the p2m list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum P2mEntry {
    /// The frame is backed by this machine frame of the domain.
    Local(Mfn),
    /// The frame is backed by a machine frame of another domain, mapped through a grant.
    Foreign(Mfn),
    /// The machine frame has the same number: device memory and the like.
    Identity,
    /// There is no machine frame, for example because the domain has given it back to Xen.
    Missing,
}

/// A word of the p2m list as stored in memory; Xen's toolstack reads it as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct P2mWord(usize);

impl P2mWord {
    /// `INVALID_P2M_ENTRY`: there is no machine frame.
    pub(crate) const MISSING: Self = Self(usize::MAX);

    const FOREIGN_BIT: usize = 1 << 63;
    const IDENTITY_BIT: usize = 1 << 62;

    /// Wraps a word read from the list or handed over by C.
    pub(crate) const fn from_raw(word: usize) -> Self {
        Self(word)
    }

    /// Returns the word as it is stored.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Returns the word for `entry` of `pfn`.
    pub(crate) const fn encode(pfn: Pfn, entry: P2mEntry) -> Self {
        match entry {
            P2mEntry::Local(mfn) => Self(mfn.raw()),
            P2mEntry::Foreign(mfn) => Self(mfn.raw() | Self::FOREIGN_BIT),
            P2mEntry::Identity => Self::identity(pfn),
            P2mEntry::Missing => Self::MISSING,
        }
    }

    /// Returns the word of an identity frame.
    pub(crate) const fn identity(pfn: Pfn) -> Self {
        Self(pfn.raw() | Self::IDENTITY_BIT)
    }

    /// Returns the meaning of the word.
    pub(crate) const fn decode(self) -> P2mEntry {
        if self.0 == Self::MISSING.0 {
            P2mEntry::Missing
        } else if self.0 & Self::FOREIGN_BIT != 0 {
            P2mEntry::Foreign(Mfn::new(self.0 & !Self::FOREIGN_BIT))
        } else if self.0 & Self::IDENTITY_BIT != 0 {
            P2mEntry::Identity
        } else {
            P2mEntry::Local(Mfn::new(self.0))
        }
    }

    /// Returns the machine frame without its tags, if there is one.
    ///
    /// For an identity frame this is the frame number in the word.
    pub(crate) const fn mfn(self) -> Option<Mfn> {
        if self.0 == Self::MISSING.0 {
            None
        } else {
            Some(Mfn::new(self.0 & !(Self::FOREIGN_BIT | Self::IDENTITY_BIT)))
        }
    }

    /// Whether there is no machine frame.
    pub(crate) const fn is_missing(self) -> bool {
        self.0 == Self::MISSING.0
    }

    /// Whether the word is that of a local frame `mfn`: no tag, same number.
    pub(crate) const fn is_local(self, mfn: Mfn) -> bool {
        self.0 == mfn.raw()
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_p2m_word)]
mod tests {
    use super::*;

    const PFN: Pfn = Pfn::new(0x1234);

    #[test]
    fn words_survive_decoding() {
        let entries = [
            P2mEntry::Local(Mfn::new(0)),
            P2mEntry::Local(Mfn::new((1 << 40) - 1)),
            P2mEntry::Foreign(Mfn::new(0)),
            P2mEntry::Foreign(Mfn::new((1 << 40) - 1)),
            P2mEntry::Identity,
            P2mEntry::Missing,
        ];
        for entry in entries {
            assert_eq!(P2mWord::encode(PFN, entry).decode(), entry);
        }
    }

    #[test]
    fn tags_are_those_of_the_abi() {
        assert_eq!(P2mWord::MISSING.raw(), usize::MAX);
        assert_eq!(P2mWord::identity(PFN).raw(), 0x4000_0000_0000_1234);
        let foreign = P2mWord::encode(PFN, P2mEntry::Foreign(Mfn::new(7)));
        assert_eq!(foreign.raw(), 0x8000_0000_0000_0007);
    }

    #[test]
    fn machine_frames_have_no_tags() {
        assert_eq!(P2mWord::MISSING.mfn(), None);
        assert_eq!(P2mWord::identity(PFN).mfn(), Some(Mfn::new(0x1234)));
        let foreign = P2mWord::encode(PFN, P2mEntry::Foreign(Mfn::new(7)));
        assert_eq!(foreign.mfn(), Some(Mfn::new(7)));
        assert!(!foreign.is_local(Mfn::new(7)));
        assert!(P2mWord::from_raw(7).is_local(Mfn::new(7)));
    }
}
