// SPDX-License-Identifier: GPL-2.0-only

//! Tests of the queue. Those of its memory need no Xen. The others flush the queue, and need it.

#![forbid(unsafe_code)]

#[kernel::macros::kunit_tests(xen_pv_mmu_queue)]
mod queue_memory {
    use crate::addr::Maddr;
    use crate::entry::MachineEntry;
    use crate::multicall::arguments::MAX_ARG_BYTES;
    use crate::multicall::queue::{
        Queue,
        Record,
        MAX_CALLS, //
    };
    use crate::platform::cpu::call_context::CallSite;
    use crate::platform::diag::queue_events::{
        ExtendResult,
        FlushReason, //
    };
    use crate::platform::xen::abi::{
        number,
        Command,
        ExtOp,
        MmuUpdate, //
    };
    use kernel::prelude::*;

    const CALLER: CallSite = CallSite::TEST;

    fn update(number: usize) -> MmuUpdate {
        MmuUpdate::new(
            Command::Normal,
            Maddr::new(number * 8),
            MachineEntry::from_raw(number),
        )
    }

    fn push(queue: &mut Queue, number: usize) -> ExtendResult {
        let result = queue.extend(number::MMU_UPDATE, update(number));
        if result != ExtendResult::Extended {
            queue.add_array(number::MMU_UPDATE, update(number), CALLER);
        }
        result
    }

    #[test]
    fn updates_merge_into_one_call() -> Result {
        let mut queue = Queue::new_boxed()?;
        assert_eq!(push(&mut queue, 0), ExtendResult::OtherCall);
        for number in 1..10 {
            assert_eq!(push(&mut queue, number), ExtendResult::Extended);
        }
        assert_eq!(queue.nr_calls, 1);
        assert_eq!(queue.calls[0].args[1], 10);
        assert_eq!(queue.records[0].value, 10);
        for number in 0..10 {
            let read: Option<MmuUpdate> = queue.args.read(queue.records[0].target, number);
            assert_eq!(read.map(|update| update.raw()), Some((number * 8, number)));
        }
        Ok(())
    }

    #[test]
    fn another_operation_ends_the_merge() -> Result {
        let mut queue = Queue::new_boxed()?;
        push(&mut queue, 0);
        queue.add_array(number::MMUEXT_OP, ExtOp::flush_local(), CALLER);
        assert_eq!(push(&mut queue, 1), ExtendResult::OtherCall);
        assert_eq!(queue.nr_calls, 3);
        Ok(())
    }

    #[test]
    fn argument_space_can_be_filled_to_the_last_byte() -> Result {
        let mut queue = Queue::new_boxed()?;
        let fits = MAX_ARG_BYTES / size_of::<MmuUpdate>();
        assert_eq!(fits, 128);
        for number in 0..fits {
            push(&mut queue, number);
        }
        assert_eq!(queue.nr_calls, 1);
        assert_eq!(queue.args.bytes() as usize, MAX_ARG_BYTES);
        let more = queue.extend(number::MMU_UPDATE, update(fits));
        assert_eq!(more, ExtendResult::NoSpace);
        assert_eq!(queue.check_room(8), Err(FlushReason::Args));
        assert_eq!(queue.check_room(0), Ok(()));
        assert_eq!(queue.calls[0].args[1], fits);
        Ok(())
    }

    #[test]
    fn calls_can_be_filled_to_the_last() -> Result {
        let mut queue = Queue::new_boxed()?;
        for number in 0..MAX_CALLS {
            assert_eq!(queue.check_room(0), Ok(()));
            queue.add_call(Record {
                op: number::UPDATE_VA_MAPPING,
                caller: CALLER,
                target: number,
                value: 0,
                done: 0,
            });
        }
        assert_eq!(queue.check_room(0), Err(FlushReason::Batch));
        Ok(())
    }

    #[test]
    fn arguments_are_aligned() -> Result {
        let mut queue = Queue::new_boxed()?;
        queue.args.take(3);
        assert!(queue.args.extend(3).is_none());
        let place = queue.args.take(8).as_ptr();
        assert_eq!(place as usize % 8, 0);
        assert_eq!(queue.args.bytes(), 16);
        Ok(())
    }

    #[test]
    fn operation_behind_a_bitmap_can_be_extended() -> Result {
        let mut queue = Queue::new_boxed()?;
        let bitmap = queue.args.take(16).as_ptr();
        let flush = ExtOp::flush_multi().with_vcpus(bitmap);
        queue.add_array(number::MMUEXT_OP, flush, CALLER);
        let extended = queue.extend(number::MMUEXT_OP, ExtOp::flush_all());
        assert_eq!(extended, ExtendResult::Extended);
        let second: Option<ExtOp> = queue.args.read(queue.records[0].target, 1);
        assert_eq!(second.map(|op| op.raw()), Some(ExtOp::flush_all().raw()));
        Ok(())
    }

    #[test]
    fn calls_on_their_way_to_xen_are_not_extended() -> Result {
        let mut queue = Queue::new_boxed()?;
        push(&mut queue, 0);
        queue.issued = queue.nr_calls;
        assert_eq!(push(&mut queue, 1), ExtendResult::OtherCall);
        assert_eq!(queue.nr_calls, 2);
        Ok(())
    }

    #[test]
    fn arguments_elsewhere_are_not_read() -> Result {
        let mut queue = Queue::new_boxed()?;
        push(&mut queue, 0);
        let array = queue.records[0].target;
        let last = MAX_ARG_BYTES / size_of::<MmuUpdate>() - 1;
        assert!(queue.args.read::<MmuUpdate>(array, last).is_some());
        assert!(queue.args.read::<MmuUpdate>(array, last + 1).is_none());
        assert!(queue.args.read::<MmuUpdate>(array - 8, 0).is_none());
        assert!(queue.args.read::<MmuUpdate>(array, usize::MAX).is_none());
        Ok(())
    }
}

#[kernel::macros::kunit_tests(xen_pv_mmu_batch)]
mod batches {
    use crate::addr::{
        Maddr,
        Mfn, //
    };
    use crate::entry::{
        bits,
        MachineEntry, //
    };
    use crate::level::{
        Level,
        PAGE_SIZE, //
    };
    use crate::multicall::{
        self,
        deferred::MAX_DEFERRED,
        is_queue_empty,
        Batch,
        Deferred,
        Issue, //
    };
    use crate::p2m;
    use crate::platform::cpu::call_context::{
        CallContext,
        CallSite,
        MaySleep, //
    };
    use crate::platform::cpu::context::{
        self,
        PreemptOff, //
    };
    use crate::platform::diag::{
        kunit,
        report, //
    };
    use crate::platform::kernel::address;
    use crate::platform::kernel::callback::Callback;
    use crate::platform::paging::entry_ptr::{
        self,
        EntryPtr, //
    };
    use crate::platform::paging::pages::{
        OwnedPage,
        ScratchMemory, //
    };
    use crate::platform::xen::abi::{
        Command,
        ExtOp,
        VaFlush, //
    };
    use core::ffi::c_void;
    use kernel::prelude::*;
    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    static CALLS: Atomic<usize> = Atomic::new(0);
    static IN_ORDER: Atomic<usize> = Atomic::new(0);

    /// Counts calls, and those in the order of their data.
    extern "C" fn count(data: *mut c_void) {
        let calls = CALLS.load(Relaxed);
        if data as usize == calls {
            IN_ORDER.store(IN_ORDER.load(Relaxed) + 1, Relaxed);
        }
        CALLS.store(calls + 1, Relaxed);
    }

    fn counted(number: usize) -> Deferred {
        Deferred::Call(Callback::of_safe(count, number as *mut c_void))
    }

    fn reset() {
        CALLS.store(0, Relaxed);
        IN_ORDER.store(0, Relaxed);
    }

    #[test]
    fn callbacks_run_in_order_and_once() {
        reset();
        // One callback too many: the first ones run early, and all of them run.
        let total = MAX_DEFERRED + 1;
        {
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            for number in 0..total {
                batch.after(counted(number));
            }
        }
        assert_eq!(CALLS.load(Relaxed), total);
        assert_eq!(IN_ORDER.load(Relaxed), total);
        {
            let _preempt = PreemptOff::new(CallContext::in_test());
            multicall::flush();
        }
        assert_eq!(CALLS.load(Relaxed), total);
    }

    #[test]
    fn callbacks_wait_for_the_end_of_the_batch() {
        reset();
        let mut batch = Batch::open(Issue::Now, CallContext::in_test());
        batch.after(counted(0));
        let early = CALLS.load(Relaxed);
        drop(batch);
        assert_eq!(early, 0);
        assert_eq!(CALLS.load(Relaxed), 1);
    }

    #[test]
    fn batches_nest() {
        reset();
        let outer = Batch::open(Issue::Now, CallContext::in_test());
        {
            let mut inner = Batch::open(Issue::Now, CallContext::in_test());
            inner.after(counted(0));
        }
        let still_off = !context::is_preemptible();
        drop(outer);
        assert!(still_off);
        assert_eq!(CALLS.load(Relaxed), 1);
    }

    #[test]
    fn more_operations_than_fit_all_reach_xen() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        const PAGES: usize = 300;
        let memory = ScratchMemory::new(PAGES).ok_or(ENOMEM)?;
        let ptrs = || {
            (0..PAGES)
                .filter_map(|page| entry_ptr::lookup_address(memory.start().add(page * PAGE_SIZE)))
                .map(|(ptr, _)| ptr)
        };
        let software_bit = 1 << 10;
        let is_marked = |ptr: &EntryPtr| ptr.read().raw() & software_bit != 0;
        let mark = |is_on: bool| {
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            for ptr in ptrs() {
                let entry = ptr.read().without(software_bit);
                let marked = if is_on { software_bit } else { 0 };
                let at = p2m::machine_address(ptr.vaddr());
                batch.update(Command::Normal, at, entry.with(marked));
            }
        };

        mark(true);
        let nr_marked = ptrs().filter(is_marked).count();
        let is_empty = is_queue_empty();
        mark(false);

        assert_eq!(nr_marked, PAGES);
        assert!(is_empty);
        assert_eq!(ptrs().filter(is_marked).count(), 0);
        Ok(())
    }

    #[test]
    fn updates_behind_a_refused_one_are_carried_out() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // The test changes the entries of the direct map for two pages of its own.
        let pages = [
            OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?,
            OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?,
        ];
        let first = entry_ptr::lookup_address(address::pfn_to_virt(pages[0].pfn()))
            .ok_or(EINVAL)?
            .0;
        let second = entry_ptr::lookup_address(address::pfn_to_virt(pages[1].pfn()))
            .ok_or(EINVAL)?
            .0;
        let bad = Maddr::new(((1 << 40) - 1) << 12);
        let software_bit = 1 << 10;

        report::keep_reports();
        {
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            for (at, ptr) in [
                (p2m::machine_address(first.vaddr()), first),
                (bad, first),
                (p2m::machine_address(second.vaddr()), second),
            ] {
                batch.update(Command::Normal, at, ptr.read().with(software_bit));
            }
        }
        let (count, last) = report::print_reports();
        let applied = [first, second].map(|ptr| ptr.read().raw() & software_bit != 0);
        for ptr in [first, second] {
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            let entry: MachineEntry = ptr.read().without(software_bit);
            batch.update(Command::Normal, p2m::machine_address(ptr.vaddr()), entry);
        }

        assert_eq!(count, 1);
        assert!(last.is_some_and(|report| report.target == bad.raw()
            && report.error == -22
            && report.by == CallSite::TEST));
        assert_eq!(applied, [true, true]);
        Ok(())
    }

    #[test]
    fn calls_behind_a_refused_element_find_the_others_done() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let vaddr = address::pfn_to_virt(page.pfn());
        let (ptr, _) = entry_ptr::lookup_address(vaddr).ok_or(EINVAL)?;
        let mfn = p2m::mfn_of(page.pfn()).ok_or(EINVAL)?;
        let nobody = Mfn::new((1 << 40) - 1);
        let writable = ptr.read();
        {
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            batch.update_va(vaddr, writable.without(bits::RW), VaFlush::None);
            batch.ext(ExtOp::pin(Level::L1, mfn));
        }

        report::keep_reports();
        {
            // A table cannot become writable before its pin is dropped.
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            batch.ext(ExtOp::unpin(nobody));
            batch.ext(ExtOp::unpin(mfn));
            batch.update_va(vaddr, writable, VaFlush::None);
        }
        let (count, last) = report::print_reports();
        let is_writable = ptr.read().raw() & bits::RW != 0;
        if !is_writable {
            let mut batch = Batch::open(Issue::Now, CallContext::in_test());
            batch.update_va(vaddr, writable, VaFlush::PageAll);
        }

        assert!(is_writable);
        assert_eq!(count, 1);
        assert!(last.is_some_and(|report| report.value == nobody.raw()));
        Ok(())
    }
}
