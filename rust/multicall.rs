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

mod arguments;
mod batch;
mod debug;
mod deferred;
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

pub(crate) use batch::{
    update_later,
    Batch,
    Issue, //
};
pub(crate) use deferred::Deferred;
pub(crate) use queue::{
    is_queue_empty,
    Space, //
};

use crate::platform::{
    is_in_nmi,
    is_preemptible,
    CallContext,
    Callback,
    IrqsOff, //
};
use queue::LocalQueue;

/// Makes everything that is queued on this CPU take effect.
///
/// Context: preemption is off.
pub(crate) fn flush() {
    if is_preemptible() {
        kernel::pr_warn!("multicall queue flushed with preemption on\n");
    }
    LocalQueue::new(IrqsOff::new()).flush();
}

/// Whether an operation goes to Xen past the queue of this CPU.
///
/// It does if nothing is queued; an interrupt may find what the task has left there, and that comes
/// first. An NMI comes in the midst of a change of the queue, and may not touch it.
///
/// Context: any.
#[inline(always)]
pub(crate) fn is_queue_bypassed() -> bool {
    is_queue_empty() || is_in_nmi()
}

/// Takes a place for a call with `bytes` of argument space on behalf of C code.
///
/// Returns `None` if that can never fit. Context: interrupts are off.
pub(crate) fn take_space(bytes: usize, caller: CallContext<'_>) -> Option<Space> {
    LocalQueue::new(IrqsOff::new()).take_space(bytes, caller.site())
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
