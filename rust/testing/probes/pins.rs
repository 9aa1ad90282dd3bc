// SPDX-License-Identifier: GPL-2.0-only

//! Probes of pinning: which frames become tables, at which level, how often, and how they are
//! unpinned.

use super::probe::{
    bits::*,
    domain,
    errno::*,
    ext,
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
    C,
    D,
    E,
    NONE, //
};
use super::steps::*;

/// Flags of the probes' entries above level 1.
const T: u64 = P | RW;

/// The bits that Xen adds to a kernel leaf.
const K: u64 = USER | KERNEL;

/// Why a probe that names a frame of another owner as a table runs on the model only.
const LOGGED: &str = "Xen logs the mismatch of owners, which fails a boot";

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "an empty table is pinned at level 1 and unpinned",
        &[ro(A), pin(1, A, OK), try_rw(A, EBUSY), unpin(A, OK), rw(A)],
    ),
    probe(
        "an empty table is pinned at level 2 and unpinned",
        &[ro(A), pin(2, A, OK), try_rw(A, EBUSY), unpin(A, OK), rw(A)],
    ),
    probe(
        "an empty table is pinned at level 3 and unpinned",
        &[ro(A), pin(3, A, OK), try_rw(A, EBUSY), unpin(A, OK), rw(A)],
    ),
    probe(
        "an empty table is pinned at level 4 and unpinned",
        &[ro(A), pin(4, A, OK), try_rw(A, EBUSY), unpin(A, OK), rw(A)],
    ),
    probe(
        "a table is pinned once",
        &[ro(A), pin(1, A, OK), pin(1, A, EINVAL), unpin(A, OK), rw(A)],
    ),
    probe(
        "a root is pinned once",
        &[ro(A), pin(4, A, OK), pin(4, A, EINVAL), unpin(A, OK), rw(A)],
    ),
    probe(
        "a pinned table is not pinned at another level",
        &[
            ro(A),
            pin(2, A, OK),
            pin(1, A, EINVAL),
            pin(3, A, EINVAL),
            pin(4, A, EINVAL),
        ],
    ),
    probe(
        "a table is unpinned once",
        &[ro(A), pin(2, A, OK), unpin(A, OK), unpin(A, EINVAL)],
    ),
    probe(
        "a frame that is not pinned cannot be unpinned",
        &[unpin(A, EINVAL), ro(A), unpin(A, EINVAL)],
    ),
    probe(
        "a frame that is mapped writable is not pinned",
        &[
            pin(1, A, EINVAL),
            pin(2, A, EINVAL),
            pin(3, A, EINVAL),
            pin(4, A, EINVAL),
        ],
    ),
    probe(
        "a frame that is not mapped is pinned",
        &[unmap(A), pin(1, A, OK), unpin(A, OK)],
    ),
    probe(
        "a table that was unpinned takes another level",
        &[
            ro(A),
            pin(1, A, OK),
            unpin(A, OK),
            pin(3, A, OK),
            unpin(A, OK),
            pin(1, A, OK),
            unpin(A, OK),
            rw(A),
            store(A, 0, word(1)),
            shows(A, 0, word(1)),
        ],
    ),
    probe(
        "leaves are adjusted when a table is pinned",
        &[
            store(A, 0, to(B, P | RW)),
            store(A, 1, to(B, P | USER | SOFT)),
            store(A, 511, word(0xffff_ffff_ffff_fffe)),
            ro(A),
            pin(1, A, OK),
            shows(A, 0, to(B, P | RW | K)),
            shows(A, 1, to(B, P | USER | SOFT | GLOBAL)),
            shows(A, 511, word(0xffff_ffff_ffff_fffe)),
        ],
    ),
    probe(
        "entries stay as they are when a table is unpinned",
        &[
            store(A, 0, to(B, P)),
            ro(A),
            pin(1, A, OK),
            unpin(A, OK),
            shows(A, 0, to(B, P | K)),
        ],
    ),
    probe(
        "Xen fills in its slots when a root is pinned, whatever is there",
        &[
            store(A, 255, word(SOFT)),
            store(A, 258, to(B, P | PSE)),
            store(A, 260, word(SOFT | P)),
            store(A, 272, word(SOFT)),
            ro(A),
            pin(4, A, OK),
            shows(A, 255, word(SOFT)),
            Step::Differs(A, 258, to(B, P | PSE)),
            Step::Differs(A, 260, word(SOFT | P)),
            shows(A, 272, word(SOFT)),
        ],
    ),
    probe(
        "a leaf that is refused fails the pin with its error",
        &[
            store(A, 100, to(Frame::Xen, P)),
            store(B, 100, to(ALL_ONES, P)),
            store(C, 100, to(Frame::SharedInfo, P | PCD)),
            ro(A),
            ro(B),
            ro(C),
            pin(1, A, EBUSY),
            pin(1, B, EINVAL),
            pin(1, C, EACCES),
            rw(A),
            rw(B),
            rw(C),
        ],
    ),
    probe(
        "a table that maps itself writable is not pinned",
        &[store(A, 0, to(A, P | RW)), ro(A), pin(1, A, EBUSY), rw(A)],
    ),
    probe(
        "a table that maps itself read-only is pinned",
        &[
            store(A, 0, to(A, P)),
            ro(A),
            pin(1, A, OK),
            unpin(A, OK),
            rw(A),
        ],
    ),
    probe(
        "a pin that fails leaves adjusted flags, and no reference",
        &[
            store(A, 0, to(B, P | RW)),
            store(A, 1, to(Frame::Xen, P)),
            ro(A),
            ro(B),
            pin(1, A, EBUSY),
            shows(A, 0, to(B, P | RW | K)),
            pin(1, B, OK),
        ],
    ),
    probe(
        "a large page fails the pin at levels 2 to 4",
        &[
            store(A, 0, to(B, T | PSE)),
            ro(A),
            ro(B),
            pin(2, A, EINVAL),
            pin(3, A, EINVAL),
            pin(4, A, EINVAL),
            rw(A),
        ],
    ),
    probe(
        "a child that is mapped writable fails the pin",
        &[
            store(A, 3, to(B, T)),
            store(A, 4, to(C, T)),
            ro(A),
            ro(B),
            pin(2, A, EINVAL),
            pin(3, A, EINVAL),
            pin(4, A, EINVAL),
            rw(B),
            rw(A),
        ],
    ),
    probe(
        "pinning a root makes every frame of its tree a table",
        &[
            store(A, 0, to(B, T)),
            store(B, 1, to(C, T)),
            store(C, 2, to(D, T)),
            store(D, 3, to(E, P | RW)),
            ro(A),
            ro(B),
            ro(C),
            ro(D),
            pin(4, A, OK),
            shows(A, 0, to(B, T | USER | ACCESSED)),
            shows(B, 1, to(C, T | USER)),
            shows(C, 2, to(D, T | USER)),
            shows(D, 3, to(E, P | RW | K)),
            try_rw(B, EBUSY),
            try_rw(C, EBUSY),
            try_rw(D, EBUSY),
            unpin(B, EINVAL),
            unpin(D, EINVAL),
            unpin(A, OK),
            rw(A),
            rw(B),
            rw(C),
            rw(D),
        ],
    ),
    probe(
        "a leaf deep in a tree fails the pin of its root",
        &[
            store(A, 0, to(B, T)),
            store(B, 1, to(C, T)),
            store(C, 2, to(D, T)),
            store(D, 3, to(D, P | RW)),
            ro(A),
            ro(B),
            ro(C),
            ro(D),
            pin(4, A, EBUSY),
            rw(A),
            rw(B),
            rw(C),
            rw(D),
        ],
    ),
    probe(
        "a tree is not pinned if a frame is at two levels",
        &[
            store(A, 0, to(B, T)),
            store(A, 1, to(C, T)),
            store(B, 0, to(C, T)),
            ro(A),
            ro(B),
            ro(C),
            pin(3, A, EINVAL),
            rw(A),
            rw(B),
            rw(C),
        ],
    ),
    probe(
        "a child with its own pin outlives its root",
        &[
            store(A, 0, to(B, T)),
            store(B, 0, to(C, T)),
            ro(A),
            ro(B),
            ro(C),
            pin(3, A, OK),
            pin(2, B, OK),
            unpin(A, OK),
            rw(A),
            try_rw(B, EBUSY),
            try_rw(C, EBUSY),
            unpin(B, OK),
            rw(B),
            rw(C),
        ],
    ),
    probe(
        "a table that is linked stays one when it is unpinned",
        &[
            ro(A),
            ro(B),
            pin(2, A, OK),
            pin(1, B, OK),
            update(A, 0, to(B, T), OK),
            unpin(B, OK),
            try_rw(B, EBUSY),
            update(A, 0, NONE, OK),
            rw(B),
        ],
    ),
    probe(
        "pins of an array end at the one that fails",
        &[
            ro(A),
            ro(C),
            Step::Exts(
                &[ext::pin(1, A), ext::pin(1, B), ext::pin(1, C)],
                domain::SELF,
                EINVAL,
                1,
            ),
            try_rw(A, EBUSY),
            rw(C),
        ],
    ),
    probe(
        "a frame that is no memory is not pinned or unpinned",
        &[
            pin(1, ALL_ONES, EINVAL),
            pin(4, ALL_ONES, EINVAL),
            unpin(ALL_ONES, EINVAL),
        ],
    ),
    probe(
        "the page shared with Xen is not pinned",
        &[
            pin(1, Frame::SharedInfo, EINVAL),
            unpin(Frame::SharedInfo, EINVAL),
        ],
    ),
    model_only(
        "a frame of another owner is not pinned",
        LOGGED,
        &[
            pin(1, Frame::Xen, EINVAL),
            pin(1, Frame::Foreign, EINVAL),
            unpin(Frame::Foreign, EINVAL),
        ],
    ),
    model_only(
        "a tree with a table of another owner is not pinned",
        LOGGED,
        &[
            store(A, 0, to(Frame::Foreign, T)),
            ro(A),
            pin(2, A, EINVAL),
            rw(A),
        ],
    ),
];
