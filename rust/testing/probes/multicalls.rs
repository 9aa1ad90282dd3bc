// SPDX-License-Identifier: GPL-2.0-only

//! Probes of multicalls: each call has its own result.

use super::probe::{
    address,
    bits::*,
    errno::*,
    ext,
    probe,
    set,
    to,
    Array,
    Call,
    Frame,
    Place,
    Probe,
    Step,
    A,
    ALL_ONES,
    B,
    NONE, //
};
use super::steps::*;

/// The number of the hypercall `multicall`.
const MULTICALL: u64 = 13;

/// A call that maps a frame at its address.
const fn map_call(frame: Frame, flags: u64) -> Call {
    Call::Map(Place::Of(frame), to(frame, flags))
}

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "calls after one that fails are carried out",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Multicall(&[
                (Call::Update(set(A, 0, to(B, P))), OK),
                (Call::Update(set(A, 1, to(A, P | RW))), EBUSY),
                (Call::Update(set(A, 2, to(B, P))), OK),
            ]),
            shows(A, 0, to(B, P | USER | KERNEL)),
            shows(A, 1, NONE),
            shows(A, 2, to(B, P | USER | KERNEL)),
        ],
    ),
    probe(
        "each call has its own error",
        &[
            ro(A),
            Step::Multicall(&[
                (Call::Ext(ext::pin(1, A)), OK),
                (Call::Ext(ext::pin(1, A)), EINVAL),
                (map_call(A, READ_WRITE), EBUSY),
                (Call::Update(set(A, 0, to(ALL_ONES, P))), EINVAL),
                (Call::Ext(ext::unpin(A)), OK),
                (map_call(A, READ_WRITE), OK),
            ]),
            store(A, 0, NONE),
        ],
    ),
    probe(
        "a call that does not exist is an error of its own",
        &[
            ro(A),
            Step::Multicall(&[
                (Call::Other(47), ENOSYS),
                (Call::Other(1 << 40), ENOSYS),
                (Call::Ext(ext::pin(3, A)), OK),
            ]),
            unpin(A, OK),
        ],
    ),
    probe(
        "a multicall in a multicall is refused",
        &[
            ro(A),
            Step::Multicall(&[
                (Call::Other(MULTICALL), EINVAL),
                (Call::Ext(ext::pin(2, A)), OK),
            ]),
            unpin(A, OK),
        ],
    ),
    probe("a multicall of no calls is done", &[Step::Multicall(&[])]),
    probe(
        "later calls see the effects of earlier ones",
        &[
            ro(A),
            ro(B),
            Step::Multicall(&[
                (Call::Ext(ext::pin(2, A)), OK),
                (Call::Update(set(A, 0, to(B, P | RW))), OK),
                (map_call(B, READ_WRITE), EBUSY),
                (Call::Update(set(A, 0, NONE)), OK),
                (map_call(B, READ_WRITE), OK),
                (Call::Ext(ext::unpin(A)), OK),
            ]),
        ],
    ),
    probe(
        "a multicall at an address of Xen is not read",
        &[Step::ArrayAt(Array::Multicall, address::OF_XEN, EFAULT)],
    ),
];
