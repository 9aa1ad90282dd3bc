// SPDX-License-Identifier: GPL-2.0-only

//! The per-CPU queue of hypercalls: one trap into Xen serves many operations.
//!
//! A [`Batch`] turns interrupts off and queues complete operations. When it ends, it flushes the
//! queue or, in lazy MMU mode of the task or lazy CPU mode, leaves the operations in the queue.
//! Updates of page-table entries are merged into one call as long as nothing else is queued between
//! them. The same holds for extended operations. The order of operations is always kept.
//!
//! [`Deferred`] work runs after a flush, in the order in which it was queued. Nobody gets the
//! result of a single call. A refused operation is reported with its target and its caller, and the
//! operations behind it in the same call are carried out nevertheless ([`recover`]).
//!
//! C code of the Xen port queues calls through [`crate::ops::multicall`]. It uses the same queue.

// `deny`, because `forbid` could not be lifted for the one module that needs unsafe code.
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

use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::{
    self,
    IrqsOff, //
};
use crate::platform::kernel::callback::Callback;
use queue::LocalQueue;

/// Issues everything that is queued on this CPU, and runs the deferred work.
///
/// Context: preemption is off.
pub(crate) fn flush() {
    if context::is_preemptible() {
        kernel::pr_warn!("multicall queue flushed with preemption on\n");
    }
    LocalQueue::new(IrqsOff::new()).flush();
}

/// Whether an operation bypasses the queue of this CPU.
///
/// It does if nothing is queued. In an interrupt there may be operations that the task has queued;
/// these come first. An NMI may interrupt a change of the queue, so it must not touch the queue.
///
/// Context: any.
#[inline(always)]
pub(crate) fn is_queue_bypassed() -> bool {
    is_queue_empty() || context::is_in_nmi()
}

/// Adds a call with `bytes` of argument space to the queue, for C code to fill in.
///
/// Returns `None` if the arguments can never fit.
///
/// Context: interrupts are off.
pub(crate) fn take_space(bytes: usize, caller: CallContext<'_>) -> Option<Space> {
    LocalQueue::new(IrqsOff::new()).take_space(bytes, caller.site())
}

/// Adds `bytes` of argument space to the last call if it is `op`, for C code to fill in.
///
/// Returns `None` if it is another call, or if there is no room.
///
/// Context: interrupts are off.
pub(crate) fn extend_space(op: usize, bytes: usize) -> Option<Space> {
    LocalQueue::new(IrqsOff::new()).extend_space(op, bytes)
}

/// Queues a function of C that is called after the next flush.
///
/// Context: interrupts are off.
pub(crate) fn call_after(callback: Callback) {
    LocalQueue::new(IrqsOff::new()).defer(Deferred::Call(callback));
}
