// SPDX-License-Identifier: GPL-2.0-only

//! Batches, by which the modules above queue operations.

#![forbid(unsafe_code)]

use crate::addr::{
    Maddr,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::multicall::deferred::Deferred;
use crate::multicall::queue::LocalQueue;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::{
    self,
    IrqsOff, //
};
use crate::platform::diag::tracepoints;
use crate::platform::xen::abi::{
    Command,
    ExtOp,
    MmuUpdate,
    VaFlush, //
};

/// When the operations of a batch have to take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Issue {
    /// When the batch ends.
    Now,
    /// When the batch ends or, in lazy MMU mode of the task, at the next flush.
    LazyMmu,
    /// When the batch ends or, during a context switch, at the end of the switch.
    LazyCpu,
}

impl Issue {
    #[inline(always)]
    fn is_now(self) -> bool {
        match self {
            Issue::Now => true,
            Issue::LazyMmu => !context::is_lazy_mmu_mode_active(),
            Issue::LazyCpu => !context::is_lazy_cpu_mode_active(),
        }
    }
}

/// An open batch: interrupts are off, and operations can be queued.
///
/// It cannot be sent to another CPU. Functions that sleep cannot be called while it is open,
/// because it borrows the [`MaySleep`] that they take. Batches may nest: each restores the
/// interrupt state that it found.
///
/// Context: any but NMIs, for all methods; interrupts are off until it ends.
///
/// [`MaySleep`]: crate::platform::cpu::call_context::MaySleep
#[must_use = "the batch ends when this is dropped"]
pub(crate) struct Batch<'context> {
    issue: Issue,
    caller: CallContext<'context>,
    // Dropped last: interrupts stay off until everything is flushed.
    queue: LocalQueue,
}

impl<'context> Batch<'context> {
    /// Opens a batch for `caller`.
    ///
    /// Context: any but NMIs.
    #[inline(always)]
    pub(crate) fn open(issue: Issue, caller: CallContext<'context>) -> Self {
        let irqs = IrqsOff::new();
        tracepoints::mc_batch(irqs.flags());
        Self {
            issue,
            caller,
            queue: LocalQueue::new(irqs),
        }
    }

    /// Queues the change of an entry of one of the domain's tables.
    #[inline(always)]
    pub(crate) fn update(&mut self, command: Command, at: Maddr, entry: MachineEntry) {
        let update = MmuUpdate::new(command, at, entry);
        self.queue.push_update(update, self.caller.site());
    }

    /// Queues an extended operation.
    #[inline(always)]
    pub(crate) fn ext(&mut self, op: ExtOp) {
        self.queue.push_ext(op, self.caller.site());
    }

    /// Queues an extended operation on the vCPUs of a bitmap, given as words.
    ///
    /// The bitmap is copied into the queue. There is room for the largest number of vCPUs of a PV
    /// domain (Xen `public/xen.h`, `XEN_LEGACY_MAX_VCPUS` and `MAX_VIRT_CPUS`: 8192).
    pub(crate) fn ext_on_vcpus(&mut self, op: ExtOp, bitmap: impl ExactSizeIterator<Item = usize>) {
        self.queue.push_ext_on_vcpus(op, bitmap, self.caller.site());
    }

    /// Queues the change of the entry that maps `page` in the current address space.
    pub(crate) fn update_va(&mut self, page: Vaddr, entry: MachineEntry, flush: VaFlush) {
        self.queue.push_va(page, entry, flush, self.caller.site());
    }

    /// Queues `work`, which runs once the operations that are queued so far have taken effect.
    pub(crate) fn after(&mut self, work: Deferred) {
        self.queue.defer(work);
    }
}

impl Drop for Batch<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let now = self.issue.is_now();
        tracepoints::mc_issue(now, self.queue.irq_flags());
        if now {
            self.queue.flush();
        }
    }
}

/// Queues the change of an entry of one of the domain's tables; it is issued when the task leaves
/// lazy MMU mode.
///
/// Context: the task is in lazy MMU mode.
#[inline(always)]
pub(crate) fn update_later(
    command: Command,
    at: Maddr,
    entry: MachineEntry,
    caller: CallContext<'_>,
) {
    let irqs = IrqsOff::new();
    tracepoints::mc_batch(irqs.flags());
    let mut queue = LocalQueue::new(irqs);
    let update = MmuUpdate::new(command, at, entry);
    if !queue.extend_updates(update) {
        return update_in_new_call(queue, update, caller);
    }
    tracepoints::mc_issue(false, queue.irq_flags());
}

/// Not inlined into [`update_later`], which would need more registers for all other updates.
#[inline(never)]
fn update_in_new_call(mut queue: LocalQueue, update: MmuUpdate, caller: CallContext<'_>) {
    queue.push_new_update(update, caller.site());
    tracepoints::mc_issue(false, queue.irq_flags());
}
