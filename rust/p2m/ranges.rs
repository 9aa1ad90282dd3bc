// SPDX-License-Identifier: GPL-2.0-only

//! The p2m list as ranges of frames of one kind, for display.

#![forbid(unsafe_code)]

use crate::addr::Pfn;
use crate::p2m::layout::{
    FRAMES_PER_LEAF,
    FRAMES_PER_MIDDLE, //
};
use crate::p2m::leaf_ptr;
use crate::p2m::shared::Shared;
use crate::p2m_word::P2mEntry;
use crate::platform::xen::machine_map::{
    self,
    xen_p2m_size, //
};

/// The kind of the frames in a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Machine frames of the domain.
    Local,
    /// Machine frames of other domains.
    Foreign,
    /// Machine frames with the same numbers.
    Identity,
    /// No machine frames.
    Missing,
}

/// Consecutive frames of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    /// The first frame.
    pub(crate) start: Pfn,
    /// The frame behind the last one.
    pub(crate) end: Pfn,
    /// Their kind.
    pub(crate) kind: Kind,
}

/// Returns the longest range from `start` on that ends at frame `size` or before.
///
/// `run_at` returns the kind of a frame, and a number of frames from there on that have this kind.
fn range_at(start: Pfn, size: usize, run_at: impl Fn(Pfn) -> (Kind, usize)) -> Option<Range> {
    if start.raw() >= size {
        return None;
    }
    let (kind, mut count) = run_at(start);
    while start.add(count).raw() < size {
        let (next, more) = run_at(start.add(count));
        if next != kind {
            break;
        }
        count += more;
    }
    let end = Pfn::new(start.add(count).raw().min(size));
    Some(Range { start, end, kind })
}

/// Returns the kind of `pfn` in the live list, and how many frames one look at the list covers.
fn live_run_at(pfn: Pfn) -> (Kind, usize) {
    let kind = match machine_map::p2m_load(pfn).map(|word| word.decode()) {
        Some(P2mEntry::Local(_)) => Kind::Local,
        Some(P2mEntry::Foreign(_)) => Kind::Foreign,
        None | Some(P2mEntry::Identity) => Kind::Identity,
        Some(P2mEntry::Missing) => return shared_run_at(pfn),
    };
    (kind, 1)
}

/// The part of [`live_run_at`] for words that may be in shared pages or tables. A list for hundreds
/// of gibibytes consists mostly of these.
fn shared_run_at(pfn: Pfn) -> (Kind, usize) {
    let Some(ptr) = leaf_ptr(pfn) else {
        return (Kind::Missing, 1);
    };
    let kind = match Shared::of_leaf(ptr) {
        Some(Shared::Missing) => Kind::Missing,
        Some(Shared::Identity) => Kind::Identity,
        None => return (Kind::Missing, 1),
    };
    let unit = match Shared::of_table(ptr.table()) {
        Some(_) => FRAMES_PER_MIDDLE,
        None => FRAMES_PER_LEAF,
    };
    (kind, unit - pfn.raw() % unit)
}

/// Returns the range of the live list that begins with `start`, unless `start` is beyond the list.
///
/// Other CPUs may change the list meanwhile.
///
/// Context: any.
pub(crate) fn find(start: Pfn) -> Option<Range> {
    range_at(start, xen_p2m_size.get(), live_run_at)
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_p2m_ranges)]
mod tests {
    use super::*;
    use crate::p2m;
    use crate::platform::diag::kunit;

    /// Three local frames, then missing ones up to the end of a unit of 8, then foreign ones.
    fn run_at(pfn: Pfn) -> (Kind, usize) {
        match pfn.raw() {
            0..3 => (Kind::Local, 1),
            at @ 3..16 => (Kind::Missing, 8 - at % 8),
            _ => (Kind::Foreign, 1),
        }
    }

    fn ends(size: usize) -> [Option<(usize, Kind)>; 4] {
        let mut start = 0;
        [(); 4].map(|()| {
            let range = range_at(Pfn::new(start), size, run_at)?;
            start = range.end.raw();
            Some((start, range.kind))
        })
    }

    #[test]
    fn ranges_end_where_the_kind_changes() {
        let local = Some((3, Kind::Local));
        let missing = Some((16, Kind::Missing));
        assert_eq!(ends(18), [local, missing, Some((18, Kind::Foreign)), None]);
        assert_eq!(ends(16), [local, missing, None, None]);
        // A unit that reaches beyond the end of the list.
        assert_eq!(ends(9), [local, Some((9, Kind::Missing)), None, None]);
        assert_eq!(ends(1), [Some((1, Kind::Local)), None, None, None]);
        assert_eq!(ends(0), [None; 4]);
    }

    #[test]
    fn ranges_of_the_live_list_agree_with_lookups() {
        if kunit::skip_without_xen() {
            return;
        }
        let mut start = Pfn::new(0);
        while let Some(range) = find(start) {
            assert_eq!(range.start, start);
            assert!(range.end > start);
            for pfn in [start, Pfn::new(range.end.raw() - 1)] {
                let kind = match p2m::word(pfn).decode() {
                    P2mEntry::Local(_) => Kind::Local,
                    P2mEntry::Foreign(_) => Kind::Foreign,
                    P2mEntry::Identity => Kind::Identity,
                    P2mEntry::Missing => Kind::Missing,
                };
                assert_eq!(kind, range.kind);
            }
            start = range.end;
        }
        assert_eq!(start.raw(), xen_p2m_size.get());
    }
}
