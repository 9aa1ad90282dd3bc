// SPDX-License-Identifier: GPL-2.0

//! What is done about calls that Xen refused.

use crate::multicall::queue::Record;
use crate::platform::{
    die,
    mmu_update,
    refused,
    Call,
    ExtOp,
    MmuUpdate,
    XenError,
    DOMID_SELF, //
};

/// Xen could not even read the queue: nothing that relies on it holds any more.
#[cold]
pub(super) fn unreadable(nr_calls: usize, error: XenError) -> ! {
    kernel::pr_emerg!(
        "multicall of {} calls failed: {}\n",
        nr_calls,
        error.errno()
    );
    die(c"Xen could not read the multicall queue")
}

/// Reports a refused update and carries out the ones behind it, which Xen did not look at.
///
/// `element` returns the elements of the array.
#[cold]
pub(super) fn retry_updates(
    record: &Record,
    error: isize,
    mut element: impl FnMut(usize) -> Option<MmuUpdate>,
) {
    let mut error = error;
    let mut index = record.done as usize;

    while index < record.value {
        let Some(update) = element(index) else {
            return;
        };
        let (target, value) = update.raw();
        refused(c"mmu_update", target, value, error, record.caller);
        index += 1;

        while index < record.value {
            let Some(update) = element(index) else {
                return;
            };
            if let Err((again, _)) = mmu_update(&mut [update], DOMID_SELF) {
                error = again.errno();
                break;
            }
            index += 1;
        }
    }
}

/// Reports a refused extended operation.
#[cold]
pub(super) fn ext_op(record: &Record, error: isize, op: Option<ExtOp>) {
    let (command, argument) = op.map_or((0, 0), |op| op.raw());
    refused(
        c"mmuext_op",
        command as usize,
        argument,
        error,
        record.caller,
    );
}

/// Reports another call that was refused.
#[cold]
pub(super) fn other(record: &Record, call: &Call) {
    if record.op == 0 {
        // Filled in by C code: the call itself is all there is, if Xen left it alone.
        refused(
            c"hypercall",
            call.op,
            call.args[0],
            call.result,
            record.caller,
        );
    } else {
        refused(
            c"update_va_mapping",
            record.target,
            record.value,
            call.result,
            record.caller,
        );
    }
}
