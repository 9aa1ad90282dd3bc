// SPDX-License-Identifier: GPL-2.0

//! Probes that expect something wrong, each in another kind of step: all of them have to fail.

use super::probe::{
    address,
    bits::*,
    domain,
    errno::*,
    ext,
    flush,
    probe,
    set,
    to,
    word,
    Array,
    Call,
    Place,
    Probe,
    Step,
    A,
    ALL_ONES,
    B,
    NONE, //
};
use super::steps::*;

pub(crate) const PROBES: &[Probe] = &[
    probe("mistaken: result of a mapping", &[map(A, READ_ONLY, EBUSY)]),
    probe(
        "mistaken: result of a mapping of a domain",
        &[Step::MapOf(
            Place::Of(A),
            to(A, READ_ONLY),
            domain::NOBODY,
            OK,
        )],
    ),
    probe(
        "mistaken: result of an update",
        &[update(ALL_ONES, 0, NONE, EPERM)],
    ),
    probe(
        "mistaken: updates done",
        &[Step::Updates(
            &[set(A, 0, NONE), set(ALL_ONES, 0, NONE)],
            domain::SELF,
            EINVAL,
            2,
        )],
    ),
    probe("mistaken: result of an operation", &[unpin(A, OK)]),
    probe(
        "mistaken: operations done",
        &[Step::Exts(&[ext::unpin(A)], domain::SELF, EINVAL, 1)],
    ),
    probe(
        "mistaken: result of the second call",
        &[Step::Multicall(&[
            (Call::Map(Place::Of(A), to(A, READ_WRITE)), OK),
            (Call::Ext(ext::unpin(A)), OK),
        ])],
    ),
    probe(
        "mistaken: an array that cannot be read",
        &[Step::ArrayAt(Array::Multicall, address::OF_XEN, OK)],
    ),
    probe(
        "mistaken: a store that does not fault",
        &[store_faults(A, 0, word(1))],
    ),
    probe(
        "mistaken: a store that faults",
        &[ro(A), store(A, 0, word(1))],
    ),
    probe(
        "mistaken: an entry",
        &[store(A, 0, word(1)), shows(A, 0, word(2))],
    ),
    probe(
        "mistaken: an entry that is the same",
        &[Step::Differs(B, 7, NONE)],
    ),
    probe("mistaken: a load that does not fault", &[Step::Unmapped(A)]),
    probe(
        "mistaken: extents given back",
        &[Step::Decrease(ALL_ONES, 0, 1)],
    ),
    probe(
        "mistaken: extents taken",
        &[unmap(A), Step::Decrease(A, 0, 1), Step::Populate(A, 0, 0)],
    ),
    probe("mistaken: an exchange", &[Step::Exchange(A, 0, A, 0, OK)]),
    probe("mistaken: where m2p is", &[Step::Machphys(OK, 0, 0)]),
    probe(
        "mistaken: an operation on memory",
        &[Step::MemoryOp(63, OK)],
    ),
    probe(
        "mistaken: flags",
        &[Step::Map(
            Place::Of(A),
            to(A, READ_WRITE),
            flush::PAGE,
            EFAULT,
        )],
    ),
];
