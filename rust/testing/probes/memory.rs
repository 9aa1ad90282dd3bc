// SPDX-License-Identifier: GPL-2.0-only

//! Probes of `memory_op`: frames that are given back, taken and exchanged.

use super::probe::{
    bits::*,
    errno::*,
    model_only,
    probe,
    to,
    word,
    Frame,
    Probe,
    Step,
    A,
    ALL_ONES,
    B,
    NONE, //
};
use super::steps::*;

/// An order above what dom0 may ask for.
const TOO_LARGE: u64 = 19;

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "Xen reports the address of its m2p table",
        &[Step::Machphys(
            OK,
            0xffff_8000_0000_0000,
            0xffff_8040_0000_0000,
        )],
    ),
    probe(
        "an operation that does not exist is an error",
        &[Step::MemoryOp(63, ENOSYS)],
    ),
    probe(
        "a frame is given back and another one taken",
        &[
            unmap(A),
            Step::Decrease(A, 0, 1),
            map(A, READ_ONLY, EBUSY),
            Step::Populate(A, 0, 1),
            rw(A),
            store(A, 0, word(1)),
            shows(A, 0, word(1)),
        ],
    ),
    probe(
        "a frame that is given back while it is mapped stays until it is not",
        &[
            store(A, 3, word(7)),
            Step::Decrease(A, 0, 1),
            shows(A, 3, word(7)),
            store(A, 4, word(8)),
            unmap(A),
            map(A, READ_ONLY, EBUSY),
        ],
    ),
    probe(
        "a frame that is no memory cannot be given back",
        &[Step::Decrease(ALL_ONES, 0, 0)],
    ),
    model_only(
        "a frame of another owner cannot be given back",
        "Xen logs the mismatch of owners, which fails a boot",
        &[
            Step::Decrease(Frame::Xen, 0, 0),
            Step::Decrease(Frame::Foreign, 0, 0),
        ],
    ),
    probe(
        "extents have a maximum order",
        &[
            Step::Decrease(A, TOO_LARGE, 0),
            Step::Populate(A, TOO_LARGE, 0),
            Step::Exchange(A, TOO_LARGE, A, TOO_LARGE, EPERM),
            store(A, 0, word(1)),
        ],
    ),
    probe(
        "a frame without references is exchanged",
        &[
            unmap(A),
            Step::Exchange(A, 0, A, 0, OK),
            rw(A),
            store(A, 0, word(SOFT)),
            ro(A),
            pin(1, A, OK),
            shows(A, 0, word(SOFT)),
        ],
    ),
    probe(
        "a frame that is mapped is not exchanged",
        &[
            Step::Exchange(A, 0, A, 0, EINVAL),
            store(A, 0, word(1)),
            ro(A),
            Step::Exchange(A, 0, A, 0, EINVAL),
            shows(A, 0, word(1)),
        ],
    ),
    probe(
        "a table is not exchanged",
        &[
            ro(A),
            pin(1, A, OK),
            unmap(A),
            Step::Exchange(A, 0, A, 0, EINVAL),
            unpin(A, OK),
            Step::Exchange(A, 0, A, 0, OK),
        ],
    ),
    probe(
        "a leaf anywhere keeps a frame from being exchanged",
        &[
            ro(B),
            pin(1, B, OK),
            update(B, 0, to(A, P), OK),
            unmap(A),
            Step::Exchange(A, 0, A, 0, EINVAL),
            update(B, 0, NONE, OK),
            Step::Exchange(A, 0, A, 0, OK),
        ],
    ),
    probe(
        "extents that are exchanged must be of the same size, and memory",
        &[
            Step::Exchange(A, 0, A, 1, EINVAL),
            Step::Exchange(A, 1, A, 0, EINVAL),
            Step::Exchange(ALL_ONES, 0, A, 0, EINVAL),
            Step::Exchange(Frame::Xen, 0, A, 0, EINVAL),
        ],
    ),
];
