// SPDX-License-Identifier: GPL-2.0-only

//! Sizes and indices of the p2m list and of the tree of frame lists.
//!
//! The tree has three levels of pages with 512 words (Xen `public/arch-x86/xen.h`,
//! `pfn_to_mfn_frame_list_list`). A middle page describes as many frames as a table of level 1
//! maps words of the list: 1 GiB of memory.
//!
//! Context: any, for all functions here; they only compute.

#![forbid(unsafe_code)]

use crate::addr::Pfn;
use crate::level::{
    Index,
    Level,
    ENTRIES, //
};

/// Number of frames that a page of the list describes.
pub(crate) const FRAMES_PER_LEAF: usize = ENTRIES;

/// Number of frames that a middle page of the tree, or a table of level 1, describes.
pub(crate) const FRAMES_PER_MIDDLE: usize = FRAMES_PER_LEAF * ENTRIES;

/// Number of frames that the tree can describe.
pub(crate) const FRAMES_IN_TREE: usize = FRAMES_PER_MIDDLE * ENTRIES;

/// Returns the index of the middle page for `pfn` in the top page, if the tree reaches that far.
pub(crate) const fn top_index(pfn: Pfn) -> Option<Index> {
    if pfn.raw() < FRAMES_IN_TREE {
        Index::new(pfn.raw() / FRAMES_PER_MIDDLE)
    } else {
        None
    }
}

/// Returns the index of the leaf page for `pfn` in its middle page.
pub(crate) const fn middle_index(pfn: Pfn) -> Index {
    Index::wrapping(pfn.raw() / FRAMES_PER_LEAF)
}

/// Returns the first frame described by the leaf page that describes `pfn`.
pub(crate) const fn leaf_start(pfn: Pfn) -> Pfn {
    Pfn::new(pfn.raw() - pfn.raw() % FRAMES_PER_LEAF)
}

/// Returns `frames`, rounded up to the number of frames that whole leaf pages describe.
pub(crate) const fn round_to_leaves(frames: usize) -> usize {
    frames.next_multiple_of(FRAMES_PER_LEAF)
}

/// Returns the size of the virtual area for a list that describes `frames` frames, in bytes.
///
/// It is covered by whole tables of level 1, so that these can be shared.
pub(crate) const fn area_bytes(frames: usize) -> usize {
    (frames * size_of::<usize>()).next_multiple_of(Level::L2.span())
}

/// Returns the number of frames in `gibibytes` of memory.
pub(crate) const fn frames_in(gibibytes: usize) -> usize {
    gibibytes * (1 << 30) / crate::level::PAGE_SIZE
}

/// The meaning of all words of a part of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// There is no machine frame.
    Missing,
    /// Identity frames.
    Identity,
    /// Anything else.
    Mixed,
}

/// Returns the kind of the `count` words from `start` on; `kind_of` returns that of one word.
pub(crate) fn kind_of_range(start: Pfn, count: usize, kind_of: impl Fn(Pfn) -> Kind) -> Kind {
    let kind = kind_of(start);

    if kind == Kind::Mixed || (1..count).any(|offset| kind_of(start.add(offset)) != kind) {
        Kind::Mixed
    } else {
        kind
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_p2m_layout)]
mod tests {
    use super::*;

    #[test]
    fn indices_at_the_borders() {
        assert_eq!(top_index(Pfn::new(0)), Index::new(0));
        assert_eq!(top_index(Pfn::new(FRAMES_PER_MIDDLE - 1)), Index::new(0));
        assert_eq!(top_index(Pfn::new(FRAMES_PER_MIDDLE)), Index::new(1));
        assert_eq!(top_index(Pfn::new(FRAMES_IN_TREE - 1)), Index::new(511));
        assert_eq!(top_index(Pfn::new(FRAMES_IN_TREE)), None);
        assert_eq!(middle_index(Pfn::new(511)).raw(), 0);
        assert_eq!(middle_index(Pfn::new(512)).raw(), 1);
        assert_eq!(middle_index(Pfn::new(FRAMES_PER_MIDDLE - 1)).raw(), 511);
        assert_eq!(middle_index(Pfn::new(FRAMES_PER_MIDDLE)).raw(), 0);
        assert_eq!(leaf_start(Pfn::new(511)), Pfn::new(0));
        assert_eq!(leaf_start(Pfn::new(513)), Pfn::new(512));
    }

    #[test]
    fn areas_cover_all_frames() {
        for frames in [1, 511, 512, 513, FRAMES_PER_MIDDLE - 1, FRAMES_PER_MIDDLE] {
            assert_eq!(area_bytes(frames), 2 << 20);
            assert!(round_to_leaves(frames) >= frames);
            assert!(round_to_leaves(frames) < frames + 512);
        }
        assert_eq!(area_bytes(FRAMES_PER_MIDDLE + 1), 4 << 20);
        // 2 MiB of list for each GiB of memory.
        assert_eq!(area_bytes(frames_in(512)), 1 << 30);
    }

    #[test]
    fn one_other_frame_makes_a_range_mixed() {
        for odd in [0, 1, 255, 511] {
            let kind = kind_of_range(Pfn::new(0), 512, |pfn| {
                if pfn.raw() == odd {
                    Kind::Identity
                } else {
                    Kind::Missing
                }
            });
            assert_eq!(kind, Kind::Mixed);
        }
        let missing = kind_of_range(Pfn::new(3), 512, |_| Kind::Missing);
        assert_eq!(missing, Kind::Missing);
        let frames = kind_of_range(Pfn::new(3), 512, |_| Kind::Mixed);
        assert_eq!(frames, Kind::Mixed);
    }
}
