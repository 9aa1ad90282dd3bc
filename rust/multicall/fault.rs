// SPDX-License-Identifier: GPL-2.0-only

//! Fault injection: queued operations fail on request, as if Xen had refused them.
//!
//! An array is cut before the element that has to fail, so Xen carries out the elements before it
//! and counts them. A call without an array is replaced by one that does nothing.

#![forbid(unsafe_code)]

use crate::multicall::queue::{
    Queue,
    MAX_CALLS, //
};
use crate::platform::diag::fault::{
    self,
    Fault, //
};
use crate::platform::xen::abi::{
    number,
    Call,
    ExtOp,
    MmuUpdate,
    XenError,
    DOMID_SELF, //
};
use core::ops::Range;

/// The injected refusals of a flush.
///
/// Context: the flush of a queue, for all methods: on its CPU, with interrupts off.
pub(super) struct Refusals {
    /// The negative errno of each call, or 0.
    errors: [i16; MAX_CALLS],
}

impl Refusals {
    /// Chooses the operations of the calls in `range` that are refused, and removes them.
    pub(super) fn choose(queue: &mut Queue, range: Range<usize>) -> Self {
        let mut errors = [0; MAX_CALLS];

        for (index, place) in range.zip(&mut errors) {
            let record = queue.records[index];
            let refusal = match record.op {
                number::MMU_UPDATE => first(record.value, |at| {
                    let update = queue.args.read::<MmuUpdate>(record.target, at)?;
                    fault::inject(Fault::of_update(&update)).err()
                }),
                number::MMUEXT_OP => first(record.value, |at| {
                    let op = queue.args.read::<ExtOp>(record.target, at)?;
                    fault::inject(Fault::of_ext(&op)).err()
                }),
                number::UPDATE_VA_MAPPING => fault::inject(Fault::VaMapping)
                    .err()
                    .map(|error| (0, error)),
                _ => None,
            };
            let Some((at, error)) = refusal else {
                continue;
            };
            *place = error.errno() as i16;
            let call = &mut queue.calls[index];
            if record.op == number::UPDATE_VA_MAPPING {
                call.op = number::MMU_UPDATE;
                call.args = [0, 0, 0, DOMID_SELF, 0, 0];
            } else {
                call.args[1] = at;
            }
        }
        Self { errors }
    }

    /// Writes the refusals to the results of `calls`, except for calls that Xen has refused itself.
    pub(super) fn apply(&self, calls: &mut [Call]) {
        for (call, error) in calls.iter_mut().zip(self.errors) {
            if error != 0 && call.result >= 0 {
                call.result = error as isize;
            }
        }
    }
}

/// Returns the first of `count` elements that is refused, and the error.
fn first(count: usize, refusal: impl Fn(usize) -> Option<XenError>) -> Option<(usize, XenError)> {
    (0..count).find_map(|at| refusal(at).map(|error| (at, error)))
}
