// SPDX-License-Identifier: GPL-2.0-only

//! The boot parameter `xen_mc_debug`: shows the whole batch in which Xen has refused a call.

#![forbid(unsafe_code)]

use crate::multicall::queue::Record;
use crate::platform::xen::abi::{
    number,
    Call, //
};

/// How many words of the arguments of a call are shown.
const MAX_WORDS: usize = 8;

/// The first words of the arguments of a call, or fewer if it has fewer.
pub(super) type Words = [Option<usize>; MAX_WORDS];

/// Shows a call of a batch in which a call was refused, with the first words of its arguments.
///
/// Context: the flush of a queue: interrupts are off, and a console driver may use the queue.
#[cold]
pub(super) fn report(index: usize, call: &Call, record: &Record, words: &Words) {
    let is_array = matches!(record.op, number::MMU_UPDATE | number::MMUEXT_OP);

    kernel::pr_err!(
        "  call {}: op {} result {} caller {:#x} target {:#x} value {:#x} done {}\n",
        index + 1,
        record.op,
        call.result,
        record.caller.0,
        record.target,
        record.value,
        record.done,
    );
    if is_array {
        for (argument, word) in words.iter().enumerate() {
            if let Some(value) = word {
                kernel::pr_err!("    argument {}: {:#x}\n", argument, value);
            }
        }
    }
}
