// SPDX-License-Identifier: GPL-2.0

//! Flushes TLBs, of this vCPU and of others, through Xen.

#![forbid(unsafe_code)]

use crate::addr::Vaddr;
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::platform::{
    Caller,
    ExtOp, //
};

/// Flushes the TLB of this vCPU.
///
/// Context: any.
pub(crate) fn flush_local(caller: Caller) {
    Batch::open(Issue::LazyMmu, caller).ext(ExtOp::flush_local());
}

/// Flushes the TLBs of all vCPUs.
///
/// Context: any.
pub(crate) fn flush_all(caller: Caller) {
    Batch::open(Issue::LazyMmu, caller).ext(ExtOp::flush_all());
}

/// Flushes the page at `address` from the TLB of this vCPU.
///
/// Context: any.
pub(crate) fn flush_page_local(address: Vaddr, caller: Caller) {
    let op = ExtOp::flush_page_local(address.page_start());
    Batch::open(Issue::LazyMmu, caller).ext(op);
}

/// What is flushed from the TLBs of other vCPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Range {
    /// The page at this address.
    Page(Vaddr),
    /// Everything.
    All,
}

/// Flushes `range` from the TLBs of the vCPUs that `bitmap` names.
///
/// Context: preemption is off.
pub(crate) fn flush_vcpus(
    bitmap: impl ExactSizeIterator<Item = usize>,
    range: Range,
    caller: Caller,
) {
    let op = match range {
        Range::Page(address) => ExtOp::flush_page_multi(address),
        Range::All => ExtOp::flush_multi(),
    };
    Batch::open(Issue::LazyMmu, caller).ext_on_vcpus(op, bitmap);
}
