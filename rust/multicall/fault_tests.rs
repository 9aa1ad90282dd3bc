// SPDX-License-Identifier: GPL-2.0-only

//! Tests of batches and direct calls with injected refusals.

#![forbid(unsafe_code)]

#[kernel::macros::kunit_tests(xen_pv_mmu_batch_faults)]
mod refused_operations {
    use crate::addr::Maddr;
    use crate::entry::MachineEntry;
    use crate::multicall::{
        is_queue_empty,
        Batch,
        Deferred,
        Issue, //
    };
    use crate::p2m;
    use crate::platform::cpu::call_context::{
        CallContext,
        MaySleep, //
    };
    use crate::platform::diag::fault::{
        Armed,
        Fault, //
    };
    use crate::platform::diag::kept_report::Report;
    use crate::platform::diag::kunit;
    use crate::platform::diag::report;
    use crate::platform::kernel::address;
    use crate::platform::kernel::callback::Callback;
    use crate::platform::paging::entry_ptr::{
        self,
        EntryPtr, //
    };
    use crate::platform::paging::pages::OwnedPage;
    use crate::platform::xen::abi::{
        Command,
        ExtOp,
        MmuUpdate,
        VaFlush,
        DOMID_SELF, //
    };
    use crate::platform::xen::hypercall;
    use core::ffi::c_void;
    use core::ptr::null_mut;
    use kernel::prelude::*;
    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    const CALLER: CallContext<'_> = CallContext::in_test();
    const PAGES: usize = 5;
    /// A bit that the CPU and generic code ignore.
    const SOFTWARE_BIT: usize = 1 << 10;
    /// EPERM, ENOMEM, EFAULT, EBUSY, EINVAL.
    const ERRORS: [u32; 5] = [1, 12, 14, 16, 22];

    /// Pages of the test, which changes their entries in the direct map.
    struct Targets {
        pages: KVec<OwnedPage>,
        ptrs: KVec<EntryPtr>,
    }

    impl Targets {
        fn new() -> Result<Self> {
            let mut pages = KVec::new();
            let mut ptrs = KVec::new();
            for _ in 0..PAGES {
                let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
                let (ptr, _) =
                    entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).ok_or(EINVAL)?;
                ptrs.push(ptr, GFP_KERNEL)?;
                pages.push(page, GFP_KERNEL)?;
            }
            Ok(Self { pages, ptrs })
        }

        fn at(&self, index: usize) -> Maddr {
            p2m::machine_address(self.ptrs[index].vaddr())
        }

        fn marked(&self, index: usize) -> MachineEntry {
            self.ptrs[index].read().with(SOFTWARE_BIT)
        }

        /// Returns the update that marks an entry.
        fn mark(&self, index: usize) -> MmuUpdate {
            MmuUpdate::new(Command::Normal, self.at(index), self.marked(index))
        }

        /// Removes all marks; returns which entries were marked.
        fn unmark(&self) -> [bool; PAGES] {
            let marks =
                core::array::from_fn(|index| self.ptrs[index].read().raw() & SOFTWARE_BIT != 0);
            let mut batch = Batch::open(Issue::Now, CALLER);
            for index in 0..PAGES {
                let entry = self.ptrs[index].read().without(SOFTWARE_BIT);
                batch.update(Command::Normal, self.at(index), entry);
            }
            marks
        }
    }

    static CALLS: Atomic<usize> = Atomic::new(0);

    /// Counts calls.
    extern "C" fn count(_data: *mut c_void) {
        CALLS.store(CALLS.load(Relaxed) + 1, Relaxed);
    }

    /// Runs `section` while `times` operations of `kind` are refused from number `index` on.
    ///
    /// Returns how many were refused, how many reports there were, and the last report.
    fn refuse(
        kind: Fault,
        index: usize,
        times: u32,
        errno: u32,
        section: impl FnOnce(),
    ) -> (u32, usize, Option<Report>) {
        report::keep_reports();
        let armed = Armed::new(kind, index as u32, times, errno);
        section();
        let refused = armed.disarm();
        let (reports, last) = report::print_reports();
        (refused, reports, last)
    }

    fn is_about(report: Option<Report>, target: usize, value: usize, errno: u32) -> bool {
        report
            == Some(Report {
                target,
                value,
                error: -(errno as isize),
                by: CALLER.site(),
            })
    }

    #[test]
    fn each_update_of_a_batch_may_be_refused() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let targets = Targets::new()?;
        for errno in ERRORS {
            for index in 0..PAGES {
                CALLS.store(0, Relaxed);
                let (target, value) = targets.mark(index).raw();
                let (refused, reports, last) = refuse(Fault::Update, index, 1, errno, || {
                    let mut batch = Batch::open(Issue::Now, CALLER);
                    for each in 0..PAGES {
                        batch.update(Command::Normal, targets.at(each), targets.marked(each));
                    }
                    batch.after(Deferred::Call(Callback::of_safe(count, null_mut())));
                });
                let mut expected = [true; PAGES];
                expected[index] = false;
                assert_eq!(targets.unmark(), expected);
                assert_eq!((refused, reports), (1, 1));
                assert!(is_about(last, target, value, errno));
                assert_eq!(CALLS.load(Relaxed), 1);
                assert!(is_queue_empty());
            }
        }
        Ok(())
    }

    #[test]
    fn several_updates_of_a_batch_may_be_refused() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let targets = Targets::new()?;
        let (target, value) = targets.mark(3).raw();
        let (refused, reports, last) = refuse(Fault::Update, 1, 3, 1, || {
            let mut batch = Batch::open(Issue::Now, CALLER);
            for each in 0..PAGES {
                batch.update(Command::Normal, targets.at(each), targets.marked(each));
            }
        });
        assert_eq!(targets.unmark(), [true, false, false, false, true]);
        assert_eq!((refused, reports), (3, 3));
        assert!(is_about(last, target, value, 1));
        Ok(())
    }

    #[test]
    fn calls_behind_a_refused_one_are_carried_out() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let targets = Targets::new()?;
        for (kind, index) in [
            (Fault::VaMapping, 0),
            (Fault::VaMapping, 2),
            (Fault::Ext, 0),
            (Fault::Ext, 1),
        ] {
            // Three changes by address, and two flushes in one call: four calls.
            let (refused, reports, last) = refuse(kind, index, 1, 16, || {
                let mut batch = Batch::open(Issue::Now, CALLER);
                for each in 0..3 {
                    let page = address::pfn_to_virt(targets.pages[each].pfn());
                    batch.update_va(page, targets.marked(each), VaFlush::None);
                    if each == 1 {
                        batch.ext(ExtOp::flush_local());
                        batch.ext(ExtOp::flush_all());
                    }
                }
            });
            let mut expected = [true, true, true, false, false];
            let mut flush = ExtOp::flush_local().raw();
            if index == 1 {
                flush = ExtOp::flush_all().raw();
            }
            let mut subject = (flush.0 as usize, flush.1);
            if kind == Fault::VaMapping {
                let entry = targets.ptrs[index].read().with(SOFTWARE_BIT);
                subject = (
                    address::pfn_to_virt(targets.pages[index].pfn()).raw(),
                    entry.raw(),
                );
                expected[index] = false;
            }
            assert_eq!(targets.unmark(), expected);
            assert_eq!((refused, reports), (1, 1));
            assert!(is_about(last, subject.0, subject.1, 16));
        }
        Ok(())
    }

    #[test]
    fn lone_call_may_be_refused() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let targets = Targets::new()?;
        let page = address::pfn_to_virt(targets.pages[0].pfn());
        for kind in [Fault::Update, Fault::VaMapping, Fault::Ext] {
            let (refused, reports, last) = refuse(kind, 0, 1, 12, || {
                let mut batch = Batch::open(Issue::Now, CALLER);
                match kind {
                    Fault::Update => {
                        batch.update(Command::Normal, targets.at(0), targets.marked(0))
                    }
                    Fault::VaMapping => batch.update_va(page, targets.marked(0), VaFlush::None),
                    _ => batch.ext(ExtOp::flush_local()),
                }
            });
            assert_eq!(targets.unmark(), [false; PAGES]);
            assert_eq!((refused, reports), (1, 1));
            assert!(last.is_some_and(|report| report.error == -12 && report.by == CALLER.site()));
        }
        Ok(())
    }

    #[test]
    fn direct_calls_return_their_errors() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let targets = Targets::new()?;
        let page = address::pfn_to_virt(targets.pages[0].pfn());
        for errno in ERRORS {
            let error = Some(-(errno as isize));

            let armed = Armed::new(Fault::Update, 0, 1, errno);
            let one = hypercall::mmu_update_one(targets.mark(0)).map_err(|error| error.errno());
            assert_eq!((one.err(), armed.disarm()), (error, 1));

            let armed = Armed::new(Fault::VaMapping, 0, 1, errno);
            let va = hypercall::update_va_mapping(page, targets.marked(0), VaFlush::None)
                .map_err(|error| error.errno());
            assert_eq!((va.err(), armed.disarm()), (error, 1));

            let armed = Armed::new(Fault::Ext, 0, 1, errno);
            let ext = hypercall::mmuext_op(ExtOp::flush_local()).map_err(|error| error.errno());
            assert_eq!((ext.err(), armed.disarm()), (error, 1));
            assert_eq!(targets.unmark(), [false; PAGES]);
        }
        Ok(())
    }

    #[test]
    fn arrays_report_how_far_they_got() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let targets = Targets::new()?;
        for index in 0..PAGES {
            let mut updates = [0, 1, 2, 3, 4].map(|each| targets.mark(each));
            let armed = Armed::new(Fault::Remap, index as u32, 1, 14);
            let result = hypercall::mmu_update(&mut updates, DOMID_SELF);
            let refused = armed.disarm();
            let result = result.map_err(|(error, done)| (error.errno(), done));
            let marks = targets.unmark();
            assert_eq!((refused, result), (1, Err((-14, index))));
            assert_eq!(marks, [0, 1, 2, 3, 4].map(|each| each < index));
        }
        Ok(())
    }
}
