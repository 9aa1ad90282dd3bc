// SPDX-License-Identifier: GPL-2.0-only

//! The memory of the queue, functions that queue operations, and the flush.

use crate::addr::{
    Maddr,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::multicall::arguments::{
    put,
    Arguments,
    MAX_ARG_BYTES, //
};
use crate::multicall::deferred::{
    Deferred,
    DeferredQueue, //
};
use crate::multicall::recover::{
    self,
    Reports, //
};
use crate::platform::cpu::call_context::CallSite;
use crate::platform::cpu::context::IrqsOff;
use crate::platform::cpu::percpu::define_per_cpu;
use crate::platform::diag::multicall_debug;
use crate::platform::diag::queue_events::{
    ExtendResult,
    FlushReason, //
};
use crate::platform::diag::tracepoints;
use crate::platform::xen::abi::{
    number,
    Call,
    Element,
    ExtOp,
    MmuUpdate,
    VaFlush,
    XenError,
    DOMID_SELF, //
};
use crate::platform::xen::hypercall;
use core::ffi::c_void;
use core::ops::Range;
use core::ptr::NonNull;

/// How many calls fit into the queue.
pub(crate) const MAX_CALLS: usize = 64;

/// The purpose of a queued call. It is kept apart from the call itself, which Xen may overwrite.
#[derive(Clone, Copy)]
pub(super) struct Record {
    /// The number of the hypercall, or 0 if C code fills in the call.
    pub(super) op: usize,
    /// The caller of the first element.
    pub(super) caller: CallSite,
    /// The address of its array, or the address whose entry is changed.
    pub(super) target: usize,
    /// The number of elements of the array, or the new entry.
    pub(super) value: usize,
    /// For an array: the number of elements that Xen has carried out.
    pub(super) done: u32,
}

/// The queue of a CPU.
///
/// Context: on the CPU of the queue, with interrupts off, for all methods.
///
/// # Invariants
///
/// - `issued <= nr_calls <= MAX_CALLS`.
/// - Only its own CPU touches it, with interrupts off.
pub(super) struct Queue {
    pub(super) nr_calls: u32,
    /// Calls below this number have been issued or are being issued.
    pub(super) issued: u32,
    pub(super) calls: [Call; MAX_CALLS],
    pub(super) records: [Record; MAX_CALLS],
    pub(super) args: Arguments,
    deferred: DeferredQueue,
}

define_per_cpu! {
    static QUEUE: Queue = Queue::EMPTY;
}

/// Whether nothing is queued on this CPU.
///
/// Context: any. The result stays valid for a task that moves to another CPU, because the queue is
/// empty whenever tasks are switched.
#[inline(always)]
pub(crate) fn is_queue_empty() -> bool {
    // SAFETY: The pointer is to a queue of this or another CPU, which is static memory. The load of
    // one word is volatile, because that CPU may change the word.
    unsafe { (&raw const (*QUEUE.any_cpu()).nr_calls).read_volatile() == 0 }
}

/// A call in the queue that C code fills in.
pub(crate) struct Space {
    /// The call.
    pub(crate) call: *mut Call,
    /// Its argument space.
    pub(crate) args: *mut c_void,
}

/// The last call, and space that was added to its arguments.
struct Extended<'queue> {
    call: &'queue mut Call,
    record: &'queue mut Record,
    place: &'queue mut [usize],
}

/// Calls of which Xen refused at least one.
struct Refused {
    range: Range<usize>,
    whole: Result<(), XenError>,
}

/// The queue of this CPU, with interrupts off.
///
/// Context: any but NMIs, which may interrupt a change of the queue, for all methods.
pub(super) struct LocalQueue {
    queue: NonNull<Queue>,
    irqs: IrqsOff,
}

impl LocalQueue {
    /// Returns the queue of this CPU.
    #[inline(always)]
    pub(super) fn new(irqs: IrqsOff) -> Self {
        Self {
            // SAFETY: `this_cpu()` returns the address of a variable, which is not null.
            queue: unsafe { NonNull::new_unchecked(QUEUE.this_cpu()) },
            irqs,
        }
    }

    /// Returns the interrupt state that is restored at the end.
    #[inline(always)]
    pub(super) fn irq_flags(&self) -> usize {
        self.irqs.flags()
    }

    #[inline(always)]
    fn queue(&mut self) -> &mut Queue {
        // SAFETY: The queue is static memory that only its own CPU uses, and `irqs` keeps
        // interrupts off on this CPU. So only code that the holder of the reference calls could use
        // the queue as well: no caller keeps the reference across a call that prints or runs
        // deferred work.
        unsafe { self.queue.as_mut() }
    }

    /// Flushes the queue if a call with `bytes` of arguments does not fit.
    #[inline(always)]
    fn make_room(&mut self, bytes: usize) {
        tracepoints::mc_entry_alloc(bytes);
        if let Err(reason) = self.queue().check_room(bytes) {
            tracepoints::mc_flush_reason(reason);
            self.flush();
        }
    }

    /// Adds `arg` to the array of the last call if that call is `op` and there is room; returns
    /// whether it was added.
    #[inline(always)]
    fn extend_array<T: Element>(&mut self, op: usize, arg: T) -> bool {
        let extended = self.queue().extend(op, arg);
        tracepoints::mc_extend(op, size_of::<T>(), extended);
        extended == ExtendResult::Extended
    }

    fn push_new_array<T: Element>(&mut self, op: usize, arg: T, caller: CallSite) {
        self.make_room(size_of::<T>());
        let call = self.queue().add_array(op, arg, caller);
        tracepoints::mc_entry(call, 4);
    }

    /// Queues the change of an entry of one of the domain's tables.
    #[inline(always)]
    pub(super) fn push_update(&mut self, update: MmuUpdate, caller: CallSite) {
        if !self.extend_updates(update) {
            self.push_new_update(update, caller);
        }
    }

    /// Adds `update` to the last call if that is an `mmu_update` and there is room; returns whether
    /// it was added.
    #[inline(always)]
    pub(super) fn extend_updates(&mut self, update: MmuUpdate) -> bool {
        self.extend_array(number::MMU_UPDATE, update)
    }

    /// Queues `update` as a new call.
    pub(super) fn push_new_update(&mut self, update: MmuUpdate, caller: CallSite) {
        self.push_new_array(number::MMU_UPDATE, update, caller);
    }

    /// Queues an extended operation.
    #[inline(always)]
    pub(super) fn push_ext(&mut self, op: ExtOp, caller: CallSite) {
        if !self.extend_array(number::MMUEXT_OP, op) {
            self.push_new_array(number::MMUEXT_OP, op, caller);
        }
    }

    /// Queues an extended operation on the vCPUs of a bitmap, given as words, which is copied.
    pub(super) fn push_ext_on_vcpus(
        &mut self,
        op: ExtOp,
        bitmap: impl ExactSizeIterator<Item = usize>,
        caller: CallSite,
    ) {
        let bytes = bitmap.len() * size_of::<usize>();

        self.make_room(bytes + size_of::<ExtOp>());
        // The bitmap comes before the operation, so that more elements can be added behind it.
        let place = self.queue().args.take(bytes);
        for (place, word) in place.iter_mut().zip(bitmap) {
            *place = word;
        }
        let op = op.with_vcpus(place.as_ptr());
        let call = self.queue().add_array(number::MMUEXT_OP, op, caller);
        tracepoints::mc_entry(call, 4);
    }

    /// Queues the change of the entry that maps `page` in the current address space.
    pub(super) fn push_va(
        &mut self,
        page: Vaddr,
        entry: MachineEntry,
        flush: VaFlush,
        caller: CallSite,
    ) {
        self.make_room(0);
        let call = self.queue().add_call(Record {
            op: number::UPDATE_VA_MAPPING,
            caller,
            target: page.raw(),
            value: entry.raw(),
            done: 0,
        });
        call.op = number::UPDATE_VA_MAPPING;
        call.args = [page.raw(), entry.raw(), flush.bits(), 0, 0, 0];
        tracepoints::mc_entry(call, 3);
    }

    /// Adds a call with `bytes` of argument space, for C code to fill in.
    ///
    /// Returns `None` if the arguments can never fit.
    pub(super) fn take_space(&mut self, bytes: usize, caller: CallSite) -> Option<Space> {
        if bytes > MAX_ARG_BYTES {
            return None;
        }
        self.make_room(bytes);
        let queue = self.queue();
        let args = queue.args.take(bytes).as_mut_ptr().cast();
        let call = queue.add_call(Record {
            op: 0,
            caller,
            target: 0,
            value: 0,
            done: 0,
        });
        Some(Space { call, args })
    }

    /// Adds `bytes` of argument space to the last call, for C code to fill in.
    ///
    /// Returns `None` if that call is not `op` or has been issued, or if there is no room.
    pub(super) fn extend_space(&mut self, op: usize, bytes: usize) -> Option<Space> {
        let (result, space) = match self.queue().extend_raw(op, bytes) {
            Ok(last) => {
                let (call, args) = (last.call, last.place.as_mut_ptr().cast());
                (ExtendResult::Extended, Some(Space { call, args }))
            }
            Err(result) => (result, None),
        };
        tracepoints::mc_extend(op, bytes, result);
        space
    }

    /// Queues `work`, which runs once the operations that are queued so far have taken effect.
    pub(super) fn defer(&mut self, work: Deferred) {
        if let Deferred::Call(callback) = &work {
            tracepoints::mc_callback(callback);
        }
        if let Err(work) = self.queue().deferred.push(work) {
            // The flush issues the operations that `work` waits for, so it can run afterwards.
            tracepoints::mc_flush_reason(FlushReason::Callback);
            self.flush();
            work.run();
        }
    }

    /// Issues everything that is queued, and runs the deferred work.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        let queue = self.queue();
        let (nr_calls, has_deferred) = (queue.nr_calls, !queue.deferred.are_none());

        tracepoints::mc_flush(nr_calls, queue.args.bytes(), queue.deferred.waiting());
        match if nr_calls != 0 { self.issue() } else { None } {
            Some(refused) => self.settle(refused),
            None if has_deferred => self.run_deferred(),
            None => {}
        }
    }

    /// Issues the queued calls, and removes them unless Xen has refused one.
    fn issue(&mut self) -> Option<Refused> {
        let queue = self.queue();
        // INVARIANT: `issued` is at most `nr_calls`. If `show()` prints, and the console driver
        // queues calls, these are issued without the calls that are being handled here.
        let range = queue.issued as usize..queue.nr_calls as usize;
        queue.issued = queue.nr_calls;

        #[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
        let refusals = super::fault::Refusals::choose(queue, range.clone());
        let calls = &mut queue.calls[range.clone()];
        let whole = match calls {
            [] => return None,
            // A single call is cheaper without a multicall.
            [call] => {
                hypercall::single_call(call);
                Ok(())
            }
            _ => hypercall::multicall(calls),
        };
        #[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
        refusals.apply(calls);
        if whole.is_err() || calls.iter().any(|call| call.result < 0) {
            return Some(Refused { range, whole });
        }
        queue.forget_issued();
        None
    }

    /// Recovers from refused calls, and reports them.
    #[cold]
    fn settle(&mut self, refused: Refused) {
        let reports = self.recover(refused.range, refused.whole);

        self.queue().forget_issued();
        self.run_deferred();
        // Printing comes last, when nothing of this flush is left in the queue, because a console
        // driver may use the queue.
        reports.print();
    }

    #[cold]
    fn recover(&mut self, range: Range<usize>, whole: Result<(), XenError>) -> Reports {
        if let Err(error) = whole {
            recover::unreadable(range.len(), error);
        }
        let mut reports = Reports::new();
        let queue = self.queue();
        let first = queue.records[range.start].caller;
        for index in range.clone() {
            let (call, record) = (&queue.calls[index], &queue.records[index]);
            if call.result >= 0 {
                continue;
            }
            let error = call.result;
            let is_overtaken = |maddr| queue.changes(index + 1..range.end, maddr);
            match record.op {
                number::MMU_UPDATE => {
                    let element = |at| queue.args.read::<MmuUpdate>(record.target, at);
                    recover::resume_array(record, error, &mut reports, element, is_overtaken);
                }
                number::MMUEXT_OP => {
                    let element = |at| queue.args.read::<ExtOp>(record.target, at);
                    recover::resume_array(record, error, &mut reports, element, is_overtaken);
                }
                _ => recover::single(record, call, &mut reports, is_overtaken),
            }
        }
        recover::finish(&mut reports, first);
        if multicall_debug::is_on() {
            self.show(range);
        }
        reports
    }

    /// Shows the calls of a batch in which a call was refused.
    ///
    /// A console driver may use the queue meanwhile. Only the output depends on the remains of
    /// these calls in the queue.
    #[cold]
    fn show(&mut self, range: Range<usize>) {
        for index in range.clone() {
            let queue = self.queue();
            let (call, record) = (queue.calls[index], queue.records[index]);
            let words = core::array::from_fn(|word| queue.args.read(record.target, word));
            super::debug::report(index - range.start, &call, &record, &words);
        }
    }

    fn run_deferred(&mut self) {
        self.queue().deferred.all_are_due();
        while let Some(work) = self.queue().deferred.take_due() {
            work.run();
        }
    }
}

impl Queue {
    const EMPTY: Self = Self {
        nr_calls: 0,
        issued: 0,
        calls: [Call::NONE; MAX_CALLS],
        records: [Record {
            op: 0,
            caller: CallSite(0),
            target: 0,
            value: 0,
            done: 0,
        }; MAX_CALLS],
        args: Arguments::EMPTY,
        deferred: DeferredQueue::EMPTY,
    };

    /// Empties the queue, unless calls have been added since the last issue.
    #[inline(always)]
    fn forget_issued(&mut self) {
        if self.issued == self.nr_calls {
            self.issued = 0;
            self.nr_calls = 0;
            self.args.clear();
        }
    }

    /// Checks whether another call with `bytes` of arguments fits; the error says what is full.
    #[inline(always)]
    pub(super) fn check_room(&self, bytes: usize) -> Result<(), FlushReason> {
        if self.nr_calls as usize == MAX_CALLS {
            Err(FlushReason::Batch)
        } else if !self.args.have_room(bytes) {
            Err(FlushReason::Args)
        } else {
            Ok(())
        }
    }

    /// Adds a call, for which there is room, and returns it for the caller to fill in.
    #[inline(always)]
    pub(super) fn add_call(&mut self, record: Record) -> &mut Call {
        let index = self.nr_calls as usize;
        self.records[index] = record;
        // INVARIANT: The caller has checked that there is room.
        self.nr_calls += 1;
        &mut self.calls[index]
    }

    /// Queues a call of `op` with an array of one element, for which there is room.
    #[inline(always)]
    pub(super) fn add_array<T: Element>(
        &mut self,
        op: usize,
        arg: T,
        caller: CallSite,
    ) -> &mut Call {
        let place = self.args.take(size_of::<T>());
        put(arg, place);
        let array = place.as_ptr() as usize;
        let done = &raw mut self.records[self.nr_calls as usize].done as usize;
        let call = self.add_call(Record {
            op,
            caller,
            target: array,
            value: 1,
            done: 0,
        });
        call.op = op;
        call.args = [array, 1, done, DOMID_SELF, 0, 0];
        call
    }

    /// Adds `arg` to the array of the last call if that is `op` and has not been issued; returns
    /// whether it was added, or why not.
    #[inline(always)]
    pub(super) fn extend<T: Element>(&mut self, op: usize, arg: T) -> ExtendResult {
        match self.extend_raw(op, size_of::<T>()) {
            Ok(last) => {
                put(arg, last.place);
                last.call.args[1] += 1;
                last.record.value += 1;
                ExtendResult::Extended
            }
            Err(result) => result,
        }
    }

    /// Adds space to the arguments of the last call if that is `op` and has not been issued.
    #[inline(always)]
    fn extend_raw(&mut self, op: usize, bytes: usize) -> Result<Extended<'_>, ExtendResult> {
        if self.nr_calls == self.issued {
            return Err(ExtendResult::OtherCall);
        }
        let last = self.nr_calls as usize - 1;
        let call = &mut self.calls[last];
        if call.op != op {
            return Err(ExtendResult::OtherCall);
        }
        match self.args.extend(bytes) {
            Some(place) => Ok(Extended {
                call,
                record: &mut self.records[last],
                place,
            }),
            None => Err(ExtendResult::NoSpace),
        }
    }

    /// Whether one of `calls` changes the entry at machine address `maddr`.
    #[cold]
    fn changes(&self, calls: Range<usize>, maddr: Maddr) -> bool {
        self.records[calls].iter().any(|record| match record.op {
            number::MMU_UPDATE => (0..record.value)
                .map_while(|at| self.args.read::<MmuUpdate>(record.target, at))
                .any(|update| update.entry_maddr() == maddr),
            number::UPDATE_VA_MAPPING => recover::entry_maddr_of(record.target) == Some(maddr),
            _ => false,
        })
    }

    /// Returns a queue that belongs to no CPU.
    ///
    /// Context: may sleep.
    #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
    pub(super) fn new_boxed() -> kernel::error::Result<kernel::alloc::KBox<Self>> {
        use kernel::alloc::flags::GFP_KERNEL;

        let queue = kernel::alloc::KBox::<Self>::new_uninit(GFP_KERNEL)?;
        Ok(queue.write(Self::EMPTY))
    }
}
