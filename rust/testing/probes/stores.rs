// SPDX-License-Identifier: GPL-2.0-only

//! Probes of stores to tables by the CPU, which Xen emulates for dom0 at level 1.

use super::probe::{
    bits::*,
    errno::*,
    probe,
    to,
    word,
    Frame,
    Probe,
    A,
    ALL_ONES,
    B,
    NONE, //
};
use super::steps::*;

/// The bits that Xen adds to a kernel leaf.
const K: u64 = USER | KERNEL;

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "a store to a table of level 1 is carried out and adjusted",
        &[
            ro(A),
            pin(1, A, OK),
            store(A, 0, to(B, P | RW)),
            shows(A, 0, to(B, P | RW | K)),
            store(A, 1, to(B, P | USER)),
            shows(A, 1, to(B, P | USER | GLOBAL)),
        ],
    ),
    probe(
        "a store of an entry that is not present is carried out",
        &[
            ro(A),
            pin(1, A, OK),
            store(A, 0, to(B, P)),
            store(A, 0, word(0x1234_5678_9abc_def0)),
            shows(A, 0, word(0x1234_5678_9abc_def0)),
        ],
    ),
    probe(
        "a store takes and drops references of writable leaves",
        &[
            ro(A),
            ro(B),
            pin(1, A, OK),
            store(A, 0, to(B, P | RW)),
            pin(1, B, EINVAL),
            store(A, 0, NONE),
            pin(1, B, OK),
        ],
    ),
    probe(
        "a store of an entry that is refused faults",
        &[
            ro(A),
            pin(1, A, OK),
            store(A, 0, to(B, P)),
            store_faults(A, 0, to(A, P | RW)),
            store_faults(A, 0, to(Frame::Xen, P)),
            store_faults(A, 0, to(ALL_ONES, P)),
            store_faults(A, 0, to(Frame::SharedInfo, P | PCD)),
            shows(A, 0, to(B, P | K)),
        ],
    ),
    probe(
        "a store to a table linked at level 1 is carried out",
        &[
            ro(A),
            ro(B),
            pin(2, A, OK),
            update(A, 0, to(B, P | RW), OK),
            store(B, 0, to(A, P)),
            shows(B, 0, to(A, P | K)),
            update(A, 0, NONE, OK),
            store_faults(B, 1, to(A, P)),
        ],
    ),
    probe(
        "a store to a table of level 2 faults",
        &[
            ro(A),
            pin(2, A, OK),
            store_faults(A, 0, word(0)),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "a store to a table of level 3 faults",
        &[
            ro(A),
            pin(3, A, OK),
            store_faults(A, 0, word(SOFT)),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "a store to a root faults",
        &[
            ro(A),
            pin(4, A, OK),
            store_faults(A, 0, word(SOFT)),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "a store to a read-only frame that is no table faults",
        &[ro(A), store_faults(A, 0, word(1)), shows(A, 0, NONE)],
    ),
    probe(
        "a store to a table that was unpinned faults",
        &[
            ro(A),
            pin(1, A, OK),
            store(A, 0, to(B, P)),
            unpin(A, OK),
            store_faults(A, 0, NONE),
            shows(A, 0, to(B, P | K)),
        ],
    ),
];
