// SPDX-License-Identifier: GPL-2.0-only

//! Probes with a wrong expectation, each in another kind of step: all of them must fail.

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
    probe("negative: result of a mapping", &[map(A, READ_ONLY, EBUSY)]),
    probe(
        "negative: result of a mapping of a domain",
        &[Step::MapOf(
            Place::Of(A),
            to(A, READ_ONLY),
            domain::NOBODY,
            OK,
        )],
    ),
    probe(
        "negative: result of an update",
        &[update(ALL_ONES, 0, NONE, EPERM)],
    ),
    probe(
        "negative: updates done",
        &[Step::Updates(
            &[set(A, 0, NONE), set(ALL_ONES, 0, NONE)],
            domain::SELF,
            EINVAL,
            2,
        )],
    ),
    probe("negative: result of an operation", &[unpin(A, OK)]),
    probe(
        "negative: operations done",
        &[Step::Exts(&[ext::unpin(A)], domain::SELF, EINVAL, 1)],
    ),
    probe(
        "negative: result of the second call",
        &[Step::Multicall(&[
            (Call::Map(Place::Of(A), to(A, READ_WRITE)), OK),
            (Call::Ext(ext::unpin(A)), OK),
        ])],
    ),
    probe(
        "negative: an array that cannot be read",
        &[Step::ArrayAt(Array::Multicall, address::OF_XEN, OK)],
    ),
    probe(
        "negative: a store that does not fault",
        &[store_faults(A, 0, word(1))],
    ),
    probe(
        "negative: a store that faults",
        &[ro(A), store(A, 0, word(1))],
    ),
    probe(
        "negative: an entry",
        &[store(A, 0, word(1)), shows(A, 0, word(2))],
    ),
    probe(
        "negative: an entry that is the same",
        &[Step::Differs(B, 7, NONE)],
    ),
    probe("negative: a load that does not fault", &[Step::Unmapped(A)]),
    probe(
        "negative: extents given back",
        &[Step::Decrease(ALL_ONES, 0, 1)],
    ),
    probe(
        "negative: extents taken",
        &[unmap(A), Step::Decrease(A, 0, 1), Step::Populate(A, 0, 0)],
    ),
    probe("negative: an exchange", &[Step::Exchange(A, 0, A, 0, OK)]),
    probe("negative: where m2p is", &[Step::Machphys(OK, 0, 0)]),
    probe(
        "negative: an operation on memory",
        &[Step::MemoryOp(63, OK)],
    ),
    probe(
        "negative: flags",
        &[Step::Map(
            Place::Of(A),
            to(A, READ_WRITE),
            flush::PAGE,
            EFAULT,
        )],
    ),
];
