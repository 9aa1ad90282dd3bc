// SPDX-License-Identifier: GPL-2.0-only

//! Tests of growing the p2m list with injected failures of allocations and hypercalls.

#![forbid(unsafe_code)]

#[kernel::macros::kunit_tests(xen_pv_mmu_p2m_faults)]
mod growing {
    use crate::addr::{
        Mfn,
        Pfn, //
    };
    use crate::level::Index;
    use crate::p2m::shared::Shared;
    use crate::p2m::{
        self,
        layout,
        list, //
    };
    use crate::p2m_word::{
        P2mEntry,
        P2mWord, //
    };
    use crate::platform::cpu::call_context::{
        CallContext,
        MaySleep, //
    };
    use crate::platform::diag::fault::{
        Armed,
        Fault, //
    };
    use crate::platform::diag::{
        kunit,
        report, //
    };
    use crate::platform::early::start_of_day::SharedP2m;
    use crate::platform::xen::machine_map::xen_p2m_size;

    const FOREIGN: P2mEntry = P2mEntry::Foreign(Mfn::new(0x1234));
    const EBUSY: u32 = 16;

    /// A part of the list without own pages and without an own table, and its neighbour.
    struct Part {
        start: Pfn,
        before: P2mEntry,
        neighbour: Pfn,
        generation: usize,
    }

    impl Part {
        /// Finds the first such part, or skips the test.
        fn find() -> Option<Self> {
            if kunit::skip_without_xen() {
                return None;
            }
            let last_frame = list::with_list(CallContext::in_test(), |list| list.last_frame);
            let start = Pfn::new(last_frame.next_multiple_of(layout::FRAMES_PER_MIDDLE));
            let neighbour = start.add(layout::FRAMES_PER_MIDDLE);

            if neighbour.raw() + layout::FRAMES_PER_MIDDLE > xen_p2m_size.get() {
                kunit::skip(c"the list has no such part");
                return None;
            }
            Some(Self {
                start,
                before: p2m::word(start).decode(),
                neighbour,
                generation: SharedP2m::generation(),
            })
        }

        fn set(&self) -> bool {
            let word = P2mWord::encode(self.start, FOREIGN);
            p2m::grow::set(self.start, word, &mut MaySleep::in_test()).is_ok()
        }

        /// Whether the words of this part and of its neighbour are as before.
        fn is_untouched(&self) -> bool {
            [
                self.start,
                self.start.add(511),
                self.start.add(512),
                self.neighbour,
            ]
            .into_iter()
            .all(|pfn| p2m::word(pfn).decode() == self.before)
        }

        /// Whether the shared tables and pages are intact.
        fn are_shared_intact() -> bool {
            [Shared::Missing, Shared::Identity]
                .into_iter()
                .all(|shared| {
                    let (Some(page), Some(table)) = (shared.page(), shared.table()) else {
                        return false;
                    };
                    Index::all().all(|index| {
                        page.entry(index).read().raw() == usize::MAX
                            && Shared::of_leaf(table.entry(index)) == Some(shared)
                    })
                })
        }

        /// Grows without failures, and restores the words.
        fn works(&self) -> bool {
            self.set()
                && p2m::word(self.start).decode() == FOREIGN
                && p2m::word(self.neighbour).decode() == self.before
                && p2m::grow::set(
                    self.start,
                    P2mWord::encode(self.start, self.before),
                    &mut MaySleep::in_test(),
                )
                .is_ok()
                && self.is_untouched()
                && SharedP2m::generation() % 2 == 0
        }
    }

    #[test]
    fn each_allocation_may_fail() {
        let Some(part) = Part::find() else {
            return;
        };
        let mut sites = 0;
        loop {
            let armed = Armed::new(Fault::Alloc, sites, 1, EBUSY);
            let grown = part.set();
            if armed.disarm() == 0 {
                assert!(grown);
                break;
            }
            assert!(!grown);
            assert!(part.is_untouched());
            assert!(Part::are_shared_intact());
            sites += 1;
        }
        // A table, a page, and a middle page if the toolstack needs the tree.
        assert!((1..=3).contains(&sites));
        assert!(part.works());
    }

    #[test]
    fn xen_may_refuse_to_link_a_new_table_or_page() {
        // The table, then the page in it.
        for index in 0..2 {
            let Some(part) = Part::find() else {
                return;
            };
            report::keep_reports();
            let armed = Armed::new(Fault::Update, index, 1, EBUSY);
            let grown = part.set();
            let refused = armed.disarm();
            let (reports, last) = report::print_reports();

            assert_eq!((grown, refused, reports), (false, 1, 1));
            assert!(last.is_some_and(|report| report.error == -(EBUSY as isize)));
            assert!(part.is_untouched());
            assert!(Part::are_shared_intact());
            assert_eq!(SharedP2m::generation() % 2, 0);
            assert!(part.works());
        }
    }

    #[test]
    fn table_may_go_without_its_pin() {
        let Some(part) = Part::find() else {
            return;
        };
        report::keep_reports();
        let armed = Armed::new(Fault::Pin, 0, 1, EBUSY);
        let grown = part.set();
        let refused = armed.disarm();
        let (reports, _) = report::print_reports();

        assert_eq!((grown, refused, reports), (true, 1, 1));
        assert!(part.works());
        assert!(SharedP2m::generation() > part.generation);
    }

    #[test]
    fn table_that_stays_writable_is_not_used() {
        let Some(part) = Part::find() else {
            return;
        };
        report::keep_reports();
        let armed = Armed::new(Fault::VaMapping, 0, 1, EBUSY);
        let grown = part.set();
        let refused = armed.disarm();
        let (reports, _) = report::print_reports();

        assert_eq!((grown, refused), (false, 1));
        // Xen refuses to pin the table, to link it, and to unpin it.
        assert_eq!(reports, 4);
        assert!(part.is_untouched());
        assert!(Part::are_shared_intact());
        assert!(part.works());
    }
}
