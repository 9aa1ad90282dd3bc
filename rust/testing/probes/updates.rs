// SPDX-License-Identifier: GPL-2.0-only

//! Probes of `mmu_update`: commands, partial arrays, targets, and owners.

use super::probe::{
    address,
    bits::*,
    by,
    command::*,
    domain,
    errno::*,
    model_only,
    probe,
    set,
    to,
    word,
    Array,
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

/// A present entry that Xen would refuse.
const ANYTHING: u64 = 0xdead_beef_dead_beef;

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "three commands set an entry",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(
                &[
                    by(NORMAL, A, 0, to(B, P)),
                    by(PRESERVE_AD, A, 1, to(B, P)),
                    by(NO_TRANSLATE, A, 2, to(B, P)),
                ],
                domain::SELF,
                OK,
                3,
            ),
            shows(A, 0, to(B, P | K)),
            shows(A, 1, to(B, P | K)),
            shows(A, 2, to(B, P | K)),
        ],
    ),
    probe(
        "other commands are unknown",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Update(by(4, A, 0, to(B, P)), ENOSYS),
            Step::Update(by(5, A, 0, to(B, P)), ENOSYS),
            Step::Update(by(6, A, 0, to(B, P)), ENOSYS),
            Step::Update(by(7, A, 0, to(B, P)), ENOSYS),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "an unknown command is noticed before a bad target",
        &[Step::Update(by(7, ALL_ONES, 0, NONE), ENOSYS)],
    ),
    probe(
        "an array ends at the element that fails",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(
                &[
                    set(A, 0, to(B, P)),
                    set(A, 1, to(B, P)),
                    set(A, 2, to(A, P | RW)),
                    set(A, 3, to(B, P)),
                ],
                domain::SELF,
                EBUSY,
                2,
            ),
            shows(A, 0, to(B, P | K)),
            shows(A, 1, to(B, P | K)),
            shows(A, 2, NONE),
            shows(A, 3, NONE),
        ],
    ),
    probe(
        "an array ends at an unknown command",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(
                &[
                    set(A, 0, to(B, P)),
                    by(5, A, 1, to(B, P)),
                    set(A, 2, to(B, P)),
                ],
                domain::SELF,
                ENOSYS,
                1,
            ),
            shows(A, 0, to(B, P | K)),
            shows(A, 2, NONE),
        ],
    ),
    probe(
        "a bad first element leaves nothing done",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(
                &[set(A, 0, to(ALL_ONES, P)), set(A, 1, to(B, P))],
                domain::SELF,
                EINVAL,
                0,
            ),
            shows(A, 1, NONE),
        ],
    ),
    probe(
        "elements of several tables go together",
        &[
            ro(A),
            ro(B),
            ro(C),
            pin(1, A, OK),
            pin(2, B, OK),
            Step::Updates(
                &[
                    set(A, 0, to(C, P)),
                    set(B, 0, to(A, P | RW)),
                    set(A, 1, to(B, P)),
                ],
                domain::SELF,
                OK,
                3,
            ),
            shows(B, 0, to(A, P | RW | USER)),
        ],
    ),
    probe(
        "later elements see the effects of earlier ones",
        &[
            ro(A),
            ro(B),
            pin(1, A, OK),
            pin(2, B, OK),
            Step::Updates(
                &[
                    set(B, 0, to(A, P | RW)),
                    set(B, 0, NONE),
                    set(B, 1, to(A, P | RW)),
                    set(A, 0, to(B, P | RW)),
                ],
                domain::SELF,
                EBUSY,
                3,
            ),
            shows(B, 0, NONE),
            shows(B, 1, to(A, P | RW | USER)),
        ],
    ),
    probe(
        "an array of no elements is done",
        &[Step::Updates(&[], domain::SELF, OK, 0)],
    ),
    probe(
        "a table that is no memory is refused",
        &[
            Step::Update(set(ALL_ONES, 0, NONE), EINVAL),
            Step::Update(by(PRESERVE_AD, ALL_ONES, 0, NONE), EINVAL),
        ],
    ),
    model_only(
        "a table that is not the domain's is refused",
        "Xen logs the mismatch of owners, which fails a boot",
        &[
            Step::Update(set(Frame::Xen, 0, NONE), EINVAL),
            Step::Update(set(Frame::Foreign, 0, NONE), EINVAL),
        ],
    ),
    probe(
        "an ordinary writable frame is overwritten without a check",
        &[
            Step::Update(set(A, 5, word(ANYTHING)), OK),
            shows(A, 5, word(ANYTHING)),
            Step::Update(by(NO_TRANSLATE, A, 6, to(Frame::Xen, P | RW)), OK),
            shows(A, 6, to(Frame::Xen, P | RW)),
        ],
    ),
    probe(
        "a frame without a type is overwritten without a check",
        &[
            ro(A),
            unmap(A),
            Step::Update(set(A, 5, word(ANYTHING)), OK),
            ro(A),
            shows(A, 5, word(ANYTHING)),
        ],
    ),
    probe(
        "a table that was unpinned is overwritten without a check",
        &[
            ro(A),
            pin(1, A, OK),
            unpin(A, OK),
            Step::Update(set(A, 5, word(ANYTHING)), OK),
            shows(A, 5, word(ANYTHING)),
        ],
    ),
    probe(
        "accessed and dirty are preserved on demand",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | RW | ACCESSED | DIRTY), OK),
            Step::Update(by(PRESERVE_AD, A, 0, to(B, P)), OK),
            shows(A, 0, to(B, P | ACCESSED | DIRTY | K)),
        ],
    ),
    probe(
        "preserving can only add",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | ACCESSED), OK),
            Step::Update(by(PRESERVE_AD, A, 0, to(B, P | DIRTY)), OK),
            shows(A, 0, to(B, P | ACCESSED | DIRTY | K)),
            Step::Update(by(PRESERVE_AD, A, 0, NONE), OK),
            shows(A, 0, word(ACCESSED | DIRTY)),
        ],
    ),
    probe(
        "accessed and dirty are lost without preserving",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 0, to(B, P | RW | ACCESSED | DIRTY), OK),
            update(A, 0, to(B, P | RW), OK),
            shows(A, 0, to(B, P | RW | K)),
            update(A, 1, to(B, P | ACCESSED | DIRTY), OK),
            Step::Update(by(NO_TRANSLATE, A, 1, NONE), OK),
            shows(A, 1, NONE),
        ],
    ),
    probe(
        "accessed and dirty are preserved above level 1",
        &[
            ro(A),
            ro(B),
            pin(2, A, OK),
            update(A, 0, to(B, P | RW | ACCESSED | DIRTY), OK),
            Step::Update(by(PRESERVE_AD, A, 0, to(B, P | RW)), OK),
            shows(A, 0, to(B, P | RW | USER | ACCESSED | DIRTY)),
        ],
    ),
    probe(
        "the number of a frame that is no memory has no entry in m2p",
        &[Step::Update(by(MACHPHYS, ALL_ONES, 0, NONE), EINVAL)],
    ),
    probe(
        "a domain cannot name itself by number",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(&[set(A, 0, to(B, P))], domain::OWN_NUMBER, ESRCH, 0),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "a domain that does not exist owns nothing",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(&[set(A, 0, to(B, P))], domain::NOBODY, ESRCH, 0),
            Step::Updates(
                &[set(A, 0, to(B, P))],
                domain::with_tables_of(domain::SELF, domain::NOBODY),
                ESRCH,
                0,
            ),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "a domain may name itself by number as the owner of tables",
        &[
            ro(A),
            pin(1, A, OK),
            Step::Updates(
                &[set(A, 0, to(B, P))],
                domain::with_tables_of(domain::SELF, domain::OWN_NUMBER),
                OK,
                1,
            ),
            shows(A, 0, to(B, P | K)),
        ],
    ),
    probe(
        "tables above level 1 refer to their own domain only",
        &[
            ro(A),
            ro(B),
            pin(2, A, OK),
            Step::Updates(&[set(A, 0, to(B, P))], domain::IO, EINVAL, 0),
            Step::Updates(&[set(A, 0, NONE)], domain::IO, EINVAL, 0),
            shows(A, 0, NONE),
        ],
    ),
    probe(
        "an array at an address of Xen is not read",
        &[Step::ArrayAt(Array::MmuUpdate, address::OF_XEN, EFAULT)],
    ),
];
