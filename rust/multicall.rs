// SPDX-License-Identifier: GPL-2.0

//! The per-CPU queue of hypercalls, so that one trap into Xen serves many operations.
//!
//! A [`Batch`] turns interrupts off and queues complete operations. When it ends, the queue is
//! either flushed or, in a lazy section of the task or the CPU, left for later. Updates of
//! page-table entries are merged into one call as long as nothing else is queued between them, and
//! so are extended operations; the order of operations is always kept.
//!
//! What may run after a flush is [`Deferred`] work, in the order it was asked for. Results of
//! single calls do not survive: a call that Xen refuses is reported with what it was to do and who
//! asked ([`recover`]), and the operations behind it in the same call are carried out all the same.
//!
//! C code of the Xen port queues calls too, through [`crate::ops::multicall`]; they share the
//! queue.

// Not `forbid`, because that could not be lifted for the one module that needs it.
#![deny(unsafe_code)]

mod debug;
#[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
mod fault;
#[cfg(all(
    CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION,
    CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST
))]
mod fault_tests;
#[allow(unsafe_code)]
mod queue;
mod recover;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod tests;

pub(crate) use queue::{
    is_queue_empty,
    Deferred,
    Space, //
};

use crate::addr::{
    Maddr,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::platform::{
    is_lazy_cpu_mode_active,
    is_lazy_mmu_mode_active,
    is_preemptible,
    trace,
    Callback,
    Caller,
    Command,
    ExtOp,
    IrqsOff,
    MmuUpdate,
    VaFlush, //
};
use queue::LocalQueue;

/// When the operations of a batch have to take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Issue {
    /// When the batch ends.
    Now,
    /// When the batch ends, or in lazy MMU mode of the task at its next flush.
    LazyMmu,
    /// When the batch ends, or in the midst of a context switch at its end.
    LazyCpu,
}

impl Issue {
    #[inline(always)]
    fn is_now(self) -> bool {
        match self {
            Issue::Now => true,
            Issue::LazyMmu => !is_lazy_mmu_mode_active(),
            Issue::LazyCpu => !is_lazy_cpu_mode_active(),
        }
    }
}

/// An open batch: interrupts are off, and operations can be queued.
///
/// It cannot be sent to another CPU, and nothing that may sleep takes one. Batches may nest: each
/// puts back the interrupt state that it found.
#[must_use = "the batch ends when this is dropped"]
pub(crate) struct Batch {
    issue: Issue,
    caller: Caller,
    // Dropped last: interrupts stay off until everything is flushed.
    queue: LocalQueue,
}

impl Batch {
    /// Opens a batch for `caller`.
    #[inline(always)]
    pub(crate) fn open(issue: Issue, caller: Caller) -> Self {
        let irqs = IrqsOff::new();
        trace::mc_batch(irqs.flags());
        Self {
            issue,
            caller,
            queue: LocalQueue::new(irqs),
        }
    }

    /// Queues the change of an entry of an own table.
    #[inline(always)]
    pub(crate) fn update(&mut self, command: Command, at: Maddr, entry: MachineEntry) {
        let update = MmuUpdate::new(command, at, entry);
        self.queue.push_update(update, self.caller);
    }

    /// Queues an extended operation.
    #[inline(always)]
    pub(crate) fn ext(&mut self, op: ExtOp) {
        self.queue.push_ext(op, self.caller);
    }

    /// Queues an extended operation on the vCPUs of a bitmap, given as words.
    ///
    /// The bitmap is copied. It has to fit the queue together with the operation, which it does
    /// for as many vCPUs as a PV domain can have (Xen `public/xen.h`, `XEN_LEGACY_MAX_VCPUS` and
    /// `MAX_VIRT_CPUS`: 8192).
    pub(crate) fn ext_on_vcpus(&mut self, op: ExtOp, bitmap: impl ExactSizeIterator<Item = usize>) {
        self.queue.push_ext_on_vcpus(op, bitmap, self.caller);
    }

    /// Queues the change of the entry that maps `page` in the current address space.
    pub(crate) fn update_va(&mut self, page: Vaddr, entry: MachineEntry, flush: VaFlush) {
        self.queue.push_va(page, entry, flush, self.caller);
    }

    /// Asks for `work` once what is queued so far has taken effect.
    pub(crate) fn after(&mut self, work: Deferred) {
        self.queue.defer(work);
    }
}

impl Drop for Batch {
    #[inline(always)]
    fn drop(&mut self) {
        let now = self.issue.is_now();
        trace::mc_issue(now, self.queue.irq_flags());
        if now {
            self.queue.flush();
        }
    }
}

/// Queues the change of an entry of an own table, to be made when the task leaves lazy MMU mode.
///
/// Context: the task is in lazy MMU mode.
#[inline(always)]
pub(crate) fn update_later(command: Command, at: Maddr, entry: MachineEntry, caller: Caller) {
    let irqs = IrqsOff::new();
    trace::mc_batch(irqs.flags());
    let mut queue = LocalQueue::new(irqs);
    queue.push_update(MmuUpdate::new(command, at, entry), caller);
    trace::mc_issue(false, queue.irq_flags());
}

/// Makes everything that is queued on this CPU take effect.
///
/// Context: preemption is off.
pub(crate) fn flush() {
    if is_preemptible() {
        kernel::pr_warn!("multicall queue flushed with preemption on\n");
    }
    LocalQueue::new(IrqsOff::new()).flush();
}

/// Takes a place for a call with `bytes` of argument space on behalf of C code.
///
/// Returns `None` if that can never fit. Context: interrupts are off.
pub(crate) fn take_space(bytes: usize, caller: Caller) -> Option<Space> {
    LocalQueue::new(IrqsOff::new()).take_space(bytes, caller)
}

/// Adds `bytes` of argument space to the last call if it is `op`, on behalf of C code.
///
/// Context: interrupts are off.
pub(crate) fn extend_space(op: usize, bytes: usize) -> Option<Space> {
    LocalQueue::new(IrqsOff::new()).extend_space(op, bytes)
}

/// Has a function called after the next flush, on behalf of C code.
pub(crate) fn call_after(callback: Callback) {
    LocalQueue::new(IrqsOff::new()).defer(Deferred::Call(callback));
}
