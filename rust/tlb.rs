// SPDX-License-Identifier: GPL-2.0-only

//! Flushes TLBs, of this vCPU and of others, through Xen.

#![forbid(unsafe_code)]

use crate::addr::Vaddr;
use crate::multicall::{
    is_queue_bypassed,
    Batch,
    Issue, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context;
use crate::platform::diag::report;
use crate::platform::xen::abi::{
    ExtOp,
    FlushRange, //
};
use crate::platform::xen::hypercall;

/// Flushes at once or, in lazy MMU mode, after the operations that are queued.
fn flush(op: ExtOp, caller: CallContext<'_>) {
    if context::is_lazy_mmu_mode_active() || !is_queue_bypassed() {
        Batch::open(Issue::LazyMmu, caller).ext(op);
        return;
    }
    if let Err(error) = hypercall::mmuext_op(op) {
        report::report_refusal(&op, error.errno(), caller.site());
    }
}

/// Flushes the TLB of this vCPU.
///
/// Context: any.
pub(crate) fn flush_local(caller: CallContext<'_>) {
    flush(ExtOp::flush_local(), caller);
}

/// Flushes the TLBs of all vCPUs.
///
/// Context: any.
pub(crate) fn flush_all(caller: CallContext<'_>) {
    flush(ExtOp::flush_all(), caller);
}

/// Flushes the page at `address` from the TLB of this vCPU.
///
/// Context: any.
pub(crate) fn flush_page_local(address: Vaddr, caller: CallContext<'_>) {
    flush(ExtOp::flush_page_local(address.page_start()), caller);
}

/// Flushes `range` from the TLBs of the vCPUs in `bitmap`.
///
/// Context: preemption is off.
pub(crate) fn flush_vcpus(
    bitmap: impl ExactSizeIterator<Item = usize>,
    range: FlushRange,
    caller: CallContext<'_>,
) {
    let op = match range {
        FlushRange::Page(address) => ExtOp::flush_page_multi(address),
        FlushRange::All => ExtOp::flush_multi(),
    };
    Batch::open(Issue::LazyMmu, caller).ext_on_vcpus(op, bitmap);
}
