// SPDX-License-Identifier: GPL-2.0-only

//! Probes of `update_va_mapping`: addresses, flushes, refusals.

use super::probe::{
    address,
    bits::*,
    domain,
    errno::*,
    flush,
    probe,
    to,
    word,
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

/// Maps a frame at the address of another one.
const fn map_at(place: Frame, frame: Frame, flags: u64, wanted: i64) -> Step {
    let flush = flush::PAGE | flush::ALL;
    Step::Map(Place::Of(place), to(frame, flags), flush, wanted)
}

/// Tries to map a frame at an address.
const fn try_at(address: u64, frame: Frame) -> Step {
    let entry = to(frame, READ_WRITE);
    Step::Map(Place::At(address), entry, flush::NOTHING, EINVAL)
}

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "a frame is read-only, unmapped and writable in turn",
        &[
            store(A, 0, word(1)),
            ro(A),
            shows(A, 0, word(1)),
            store_faults(A, 0, word(2)),
            unmap(A),
            Step::Unmapped(A),
            rw(A),
            store(A, 1, word(3)),
            shows(A, 0, word(1)),
        ],
    ),
    probe(
        "two addresses show one frame",
        &[
            store(A, 9, word(42)),
            map_at(B, A, READ_WRITE, OK),
            shows(B, 9, word(42)),
            store(B, 10, word(43)),
            shows(A, 10, word(43)),
        ],
    ),
    probe(
        "every way to flush is accepted",
        &[
            Step::Map(Place::Of(A), to(A, READ_WRITE), flush::NOTHING, OK),
            Step::Map(Place::Of(A), to(A, READ_WRITE), flush::TLB, OK),
            Step::Map(Place::Of(A), to(A, READ_WRITE), flush::PAGE, OK),
            Step::Map(Place::Of(A), to(A, READ_WRITE), flush::TLB | flush::ALL, OK),
            Step::Map(
                Place::Of(A),
                to(A, READ_WRITE),
                flush::PAGE | flush::ALL,
                OK,
            ),
            Step::Map(
                Place::Of(A),
                to(A, READ_WRITE),
                flush::TLB | flush::PAGE,
                OK,
            ),
        ],
    ),
    probe(
        "a set of vCPUs that cannot be read is noticed after the change",
        &[
            Step::Map(
                Place::Of(A),
                to(A, READ_ONLY),
                address::OF_XEN | flush::TLB,
                EFAULT,
            ),
            Step::Map(Place::Of(A), to(A, READ_ONLY), flush::TLB | flush::ALL, OK),
            store_faults(A, 0, word(1)),
            Step::Map(
                Place::Of(B),
                to(B, READ_ONLY),
                address::OF_XEN | flush::PAGE,
                EFAULT,
            ),
        ],
    ),
    probe(
        "an address without a table of level 1 is refused",
        &[try_at(address::WITHOUT_TABLE, A)],
    ),
    probe(
        "an address of Xen is refused",
        &[try_at(address::OF_XEN, A)],
    ),
    probe(
        "an address that is not canonical is refused",
        &[try_at(address::NO_ADDRESS, A)],
    ),
    probe(
        "a table stays read-only, and the mapping as it was",
        &[
            ro(A),
            pin(1, A, OK),
            try_rw(A, EBUSY),
            store(A, 0, to(B, P)),
            map_at(B, A, READ_WRITE, EBUSY),
            store(B, 0, word(7)),
            shows(B, 0, word(7)),
        ],
    ),
    probe(
        "a table can be mapped read-only elsewhere",
        &[
            ro(A),
            pin(2, A, OK),
            update(A, 3, word(SOFT), OK),
            map_at(B, A, READ_ONLY, OK),
            shows(B, 3, word(SOFT)),
            store_faults(B, 3, NONE),
        ],
    ),
    probe(
        "a frame mapped writable at another address is no table",
        &[
            ro(A),
            map_at(B, A, READ_WRITE, OK),
            pin(1, A, EINVAL),
            rw(B),
            pin(1, A, OK),
        ],
    ),
    probe(
        "frames that are not the domain's are refused",
        &[
            map_at(A, Frame::Xen, READ_ONLY, EBUSY),
            map_at(A, Frame::Xen, READ_WRITE, EBUSY),
            map_at(A, ALL_ONES, READ_ONLY, EINVAL),
            store(A, 0, word(1)),
            shows(A, 0, word(1)),
        ],
    ),
    probe(
        "the domain of a frame has to exist, and to own it",
        &[
            Step::MapOf(Place::Of(A), to(A, READ_WRITE), domain::OWN_NUMBER, ESRCH),
            Step::MapOf(Place::Of(A), to(A, READ_WRITE), domain::NOBODY, ESRCH),
            Step::MapOf(Place::Of(A), to(B, READ_WRITE), domain::IO, EBUSY),
        ],
    ),
];
