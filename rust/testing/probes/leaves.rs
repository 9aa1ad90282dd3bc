// SPDX-License-Identifier: GPL-2.0-only

//! Probes of entries of level 1: which frames and flags Xen accepts, and how it adjusts them.

use super::probe::{
    bits::*,
    domain,
    errno::*,
    model_only,
    probe,
    set,
    to,
    word,
    Frame,
    Probe,
    Step,
    A,
    ALL_ONES,
    B,
    C,
    NONE, //
};
use super::steps::*;

/// The bits that Xen adds to a kernel leaf.
const K: u64 = USER | KERNEL;

/// A frame of the first MiB, which is I/O memory for dom0 even where there is RAM.
const LOW: Frame = Frame::Number(0xb8);

/// The local APIC, which no domain may map.
const APIC: Frame = Frame::Number(0xfee00);

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "a read-only leaf of the kernel gets the user bit and bit 52",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P), OK),
            shows(A, 0, to(B, P | K)),
        ],
    ),
    probe(
        "a writable leaf of the kernel gets the same",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 511, to(B, P | RW), OK),
            shows(A, 511, to(B, P | RW | K)),
        ],
    ),
    probe(
        "a leaf of user mode becomes global",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | USER), OK),
            shows(A, 0, to(B, P | USER | GLOBAL)),
        ],
    ),
    probe(
        "a leaf with the user bit and bit 52 is the kernel's",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | K), OK),
            shows(A, 0, to(B, P | K)),
        ],
    ),
    probe(
        "a global leaf of the kernel stays global",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | GLOBAL), OK),
            shows(A, 0, to(B, P | GLOBAL | K)),
        ],
    ),
    probe(
        "writing a leaf back as it was read changes nothing",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | RW), OK),
            update(A, 0, to(B, P | RW | K), OK),
            shows(A, 0, to(B, P | RW | K)),
        ],
    ),
    probe(
        "software bits, NX, accessed and dirty are the guest's",
        &[
            ro(A),
            pin(1, A, OK),
            update(
                A,
                0,
                to(B, P | SOFT | SOFT_HIGH | NX | ACCESSED | DIRTY),
                OK,
            ),
            shows(
                A,
                0,
                to(B, P | SOFT | SOFT_HIGH | NX | ACCESSED | DIRTY | K),
            ),
        ],
    ),
    probe(
        "an entry that is not present may have any value",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, word(0x7fff_ffff_ffff_fffe), OK),
            shows(A, 0, word(0x7fff_ffff_ffff_fffe)),
            update(A, 0, to(ALL_ONES, PSE | RW), OK),
            shows(A, 0, to(ALL_ONES, PSE | RW)),
        ],
    ),
    probe(
        "dom0 chooses the memory type of a leaf",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | PCD), OK),
            update(A, 1, to(B, P | PWT), OK),
            update(A, 2, to(B, P | PSE), OK),
            shows(A, 2, to(B, P | PSE | K)),
        ],
    ),
    probe(
        "the page shared with Xen can be mapped, writable too",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(Frame::SharedInfo, P), OK),
            update(A, 1, to(Frame::SharedInfo, P | RW), OK),
            shows(A, 1, to(Frame::SharedInfo, P | RW | K)),
        ],
    ),
    probe(
        "the memory type of the page shared with Xen is fixed",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(Frame::SharedInfo, P | PCD), EACCES),
            update(A, 0, to(Frame::SharedInfo, P | RW | PWT), EACCES),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "a frame of Xen's own is refused, the entry stays",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P), OK),
            update(A, 0, to(Frame::Xen, P), EBUSY),
            update(A, 0, to(Frame::Xen, P | RW), EBUSY),
            shows(A, 0, to(B, P | K)),
        ],
    ),
    probe(
        "a frame that was given back is refused",
        &[
            ro(A),
            pin(1, A, OK),
            unmap(B),
            Step::Decrease(B, 0, 1),
            update(A, 0, to(B, P), EBUSY),
            shows(A, 0, NONE),
        ],
    ),
    model_only(
        "a frame of another domain is refused",
        "the tests have no second domain",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(Frame::Foreign, P), EBUSY),
            update(A, 0, to(Frame::Foreign, P | RW), EBUSY),
        ],
    ),
    probe(
        "the frame of all ones is refused as invalid",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(ALL_ONES, P), EINVAL),
            update(A, 0, to(ALL_ONES, P | RW), EINVAL),
        ],
    ),
    probe(
        "the local APIC is refused for want of permission",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(APIC, P), EPERM),
            update(A, 0, to(APIC, P | RW | PCD | PWT), EPERM),
        ],
    ),
    probe(
        "I/O memory is mapped uncached",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(LOW, P | RW), OK),
            shows(A, 0, to(LOW, P | RW | PCD | PWT | K)),
            update(A, 1, to(LOW, P | PWT), OK),
            shows(A, 1, to(LOW, P | PCD | PWT | K)),
        ],
    ),
    probe(
        "I/O memory keeps a type that is not cached",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(LOW, P | PCD), OK),
            shows(A, 0, to(LOW, P | PCD | K)),
            update(A, 1, to(LOW, P | PSE), OK),
            shows(A, 1, to(LOW, P | PSE | K)),
        ],
    ),
    probe(
        "a table is mapped read-only only",
        &[
            ro(A),
            ro(B),
            pin(1, A, OK),
            pin(2, B, OK),
            update(A, 0, to(B, P), OK),
            update(A, 1, to(A, P), OK),
            update(A, 2, to(B, P | RW), EBUSY),
            update(A, 2, to(A, P | RW), EBUSY),
            shows(A, 2, NONE),
        ],
    ),
    probe(
        "a read-only leaf of a table cannot become writable",
        &[
            ro(A),
            ro(B),
            pin(1, A, OK),
            pin(1, B, OK),
            update(A, 0, to(B, P), OK),
            update(A, 0, to(B, P | RW), EBUSY),
            shows(A, 0, to(B, P | K)),
            unpin(B, OK),
            update(A, 0, to(B, P | RW), OK),
        ],
    ),
    probe(
        "each writable leaf counts, flags apart",
        &[
            ro(A),
            ro(B),
            pin(1, A, OK),
            update(A, 0, to(B, P | RW), OK),
            update(A, 1, to(B, P | RW), OK),
            update(A, 1, to(B, P | RW | NX | DIRTY), OK),
            pin(1, B, EINVAL),
            update(A, 0, NONE, OK),
            pin(1, B, EINVAL),
            update(A, 1, to(B, P), OK),
            pin(1, B, OK),
        ],
    ),
    probe(
        "a leaf that changes its frame drops the old one",
        &[
            ro(A),
            ro(B),
            ro(C),
            pin(1, A, OK),
            update(A, 0, to(B, P | RW), OK),
            update(A, 0, to(C, P | RW), OK),
            pin(1, B, OK),
            pin(1, C, EINVAL),
        ],
    ),
    probe(
        "leaves lose their references with their table",
        &[
            ro(A),
            ro(B),
            pin(1, A, OK),
            update(A, 0, to(B, P | RW), OK),
            pin(1, B, EINVAL),
            unpin(A, OK),
            shows(A, 0, to(B, P | RW | K)),
            pin(1, B, OK),
        ],
    ),
    probe(
        "I/O memory's owner does not own frames of the domain",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(&[set(A, 0, to(B, P))], domain::IO, EBUSY, 0),
            Step::Updates(&[set(A, 0, to(LOW, P | PCD))], domain::IO, OK, 1),
        ],
    ),
];
