// SPDX-License-Identifier: GPL-2.0-only

//! Probes of `mmuext_op` except for pins: flushes, roots, pages, and unknown operations.

use super::probe::{
    address,
    bits::*,
    domain,
    errno::*,
    ext::{
        self,
        op,
        op2,
        user_root, //
    },
    probe,
    to,
    word,
    Arg,
    Array,
    Call,
    Ext,
    Frame,
    Place,
    Probe,
    Step,
    A,
    ALL_ONES,
    B, //
};
use super::steps::*;

/// A flush of the whole TLB of this vCPU.
const FLUSH: Ext = op(ext::TLB_FLUSH_LOCAL, Arg::Word(0));

/// No root for user mode.
const NO_USER_ROOT: Ext = user_root(Frame::Number(0));

/// A step that applies one operation.
const fn one(op: Ext, wanted: i64) -> Step {
    Step::Ext(op, wanted)
}

/// A call that maps a frame at its address.
const fn call_map(frame: Frame, flags: u64) -> Call {
    Call::Map(Place::Of(frame), to(frame, flags))
}

pub(crate) const PROBES: &[Probe] = &[
    probe(
        "TLBs are flushed here and everywhere",
        &[
            one(FLUSH, OK),
            one(op(ext::TLB_FLUSH_ALL, Arg::Word(0)), OK),
            one(op(ext::INVLPG_LOCAL, Arg::Address(A)), OK),
            one(op(ext::INVLPG_ALL, Arg::Address(A)), OK),
        ],
    ),
    probe(
        "flushing an address that the guest cannot map is no error",
        &[
            one(op(ext::INVLPG_LOCAL, Arg::Word(address::NO_ADDRESS)), OK),
            one(op(ext::INVLPG_ALL, Arg::Word(address::NO_ADDRESS)), OK),
            one(op(ext::INVLPG_LOCAL, Arg::Word(address::OF_XEN)), OK),
            one(op(ext::INVLPG_ALL, Arg::Word(address::OF_XEN)), OK),
        ],
    ),
    probe(
        "a set of vCPUs is flushed",
        &[
            store(A, 0, word(1)),
            one(op2(ext::TLB_FLUSH_MULTI, Arg::Word(0), Arg::Address(A)), OK),
            one(op2(ext::INVLPG_MULTI, Arg::Address(B), Arg::Address(A)), OK),
            one(
                op2(
                    ext::INVLPG_MULTI,
                    Arg::Word(address::NO_ADDRESS),
                    Arg::Address(A),
                ),
                OK,
            ),
        ],
    ),
    probe(
        "a set of vCPUs that cannot be read is refused",
        &[
            one(
                op2(
                    ext::TLB_FLUSH_MULTI,
                    Arg::Word(0),
                    Arg::Word(address::OF_XEN),
                ),
                EINVAL,
            ),
            one(
                op2(
                    ext::INVLPG_MULTI,
                    Arg::Address(A),
                    Arg::Word(address::OF_XEN),
                ),
                EINVAL,
            ),
        ],
    ),
    probe(
        "TLBs of another domain are not flushed",
        &[
            Step::Exts(&[FLUSH], domain::IO, EPERM, 0),
            Step::Exts(
                &[op(ext::INVLPG_ALL, Arg::Address(A))],
                domain::IO,
                EPERM,
                0,
            ),
        ],
    ),
    probe(
        "operations need a domain that exists and is not named by its number",
        &[
            Step::Exts(&[FLUSH], domain::OWN_NUMBER, ESRCH, 0),
            Step::Exts(&[FLUSH], domain::NOBODY, ESRCH, 0),
        ],
    ),
    probe(
        "operations that do not exist differ from those not supported",
        &[
            one(op(14, Arg::Word(0)), ENOSYS),
            one(op(21, Arg::Word(0)), ENOSYS),
            one(op(0x7fff_ffff, Arg::Word(0)), ENOSYS),
            one(op(ext::MARK_SUPER, Arg::Mfn(A)), EOPNOTSUPP),
            one(op(ext::UNMARK_SUPER, Arg::Mfn(A)), EOPNOTSUPP),
        ],
    ),
    probe(
        "an array ends at the operation that fails",
        &[
            ro(A),
            Step::Exts(
                &[ext::pin(2, A), FLUSH, op(14, Arg::Word(0)), ext::unpin(A)],
                domain::SELF,
                ENOSYS,
                2,
            ),
            unpin(A, OK),
        ],
    ),
    probe(
        "an array of no operations is done",
        &[Step::Exts(&[], domain::SELF, OK, 0)],
    ),
    probe(
        "an array of operations at an address of Xen is not read",
        &[Step::ArrayAt(Array::MmuextOp, address::OF_XEN, EFAULT)],
    ),
    probe(
        "dom0 may flush caches",
        &[one(op(ext::FLUSH_CACHE, Arg::Word(0)), OK)],
    ),
    probe(
        "a page is cleared, mapped or not, but no table",
        &[
            store(A, 5, word(1)),
            one(op(ext::CLEAR_PAGE, Arg::Mfn(A)), OK),
            shows(A, 5, word(0)),
            store(B, 5, word(1)),
            ro(B),
            one(op(ext::CLEAR_PAGE, Arg::Mfn(B)), OK),
            shows(B, 5, word(0)),
            pin(1, B, OK),
            one(op(ext::CLEAR_PAGE, Arg::Mfn(B)), EINVAL),
            one(op(ext::CLEAR_PAGE, Arg::Mfn(ALL_ONES)), EINVAL),
        ],
    ),
    probe(
        "a page is copied from a table, but not onto one",
        &[
            ro(A),
            pin(1, A, OK),
            update(A, 3, word(SOFT), OK),
            one(op2(ext::COPY_PAGE, Arg::Mfn(B), Arg::Mfn(A)), OK),
            shows(B, 3, word(SOFT)),
            one(op2(ext::COPY_PAGE, Arg::Mfn(A), Arg::Mfn(B)), EINVAL),
            one(op2(ext::COPY_PAGE, Arg::Mfn(B), Arg::Mfn(ALL_ONES)), EINVAL),
            one(op2(ext::COPY_PAGE, Arg::Mfn(ALL_ONES), Arg::Mfn(B)), EINVAL),
        ],
    ),
    probe(
        "an LDT has its limits",
        &[
            one(op2(ext::SET_LDT, Arg::Address(A), Arg::Word(8193)), EINVAL),
            one(op2(ext::SET_LDT, Arg::Word(8), Arg::Word(1)), EINVAL),
            one(
                op2(ext::SET_LDT, Arg::Word(address::OF_XEN), Arg::Word(1)),
                EINVAL,
            ),
        ],
    ),
    probe(
        "a frame that is no root is not loaded, and the old root stays",
        &[
            store(B, 0, to(A, P | PSE)),
            ro(B),
            one(op(ext::NEW_BASEPTR, Arg::Mfn(ALL_ONES)), EINVAL),
            one(op(ext::NEW_BASEPTR, Arg::Mfn(A)), EINVAL),
            one(op(ext::NEW_BASEPTR, Arg::Mfn(B)), EINVAL),
            rw(B),
        ],
    ),
    probe(
        "a table of another level is not loaded as a root",
        &[
            ro(A),
            pin(3, A, OK),
            one(op(ext::NEW_BASEPTR, Arg::Mfn(A)), EINVAL),
            one(user_root(A), EINVAL),
        ],
    ),
    probe(
        "a frame that is no root is not loaded for user mode",
        &[
            store(B, 0, to(A, P | PSE)),
            ro(B),
            one(user_root(ALL_ONES), EINVAL),
            one(user_root(A), EINVAL),
            one(user_root(B), EINVAL),
            rw(B),
        ],
    ),
    probe(
        "a root is a table while it is loaded for user mode",
        &[
            ro(A),
            Step::Multicall(&[
                (Call::Ext(user_root(A)), OK),
                (call_map(A, READ_WRITE), EBUSY),
                (Call::Ext(user_root(A)), OK),
                (Call::Ext(NO_USER_ROOT), OK),
                (Call::Ext(NO_USER_ROOT), OK),
                (call_map(A, READ_WRITE), OK),
            ]),
        ],
    ),
    probe(
        "a root loaded for user mode can be pinned and unpinned meanwhile",
        &[
            ro(A),
            Step::Multicall(&[
                (Call::Ext(user_root(A)), OK),
                (Call::Ext(ext::pin(4, A)), OK),
                (Call::Ext(ext::unpin(A)), OK),
                (call_map(A, READ_WRITE), EBUSY),
                (Call::Ext(NO_USER_ROOT), OK),
                (call_map(A, READ_WRITE), OK),
            ]),
        ],
    ),
    probe(
        "a root of another domain is not loaded",
        &[Step::Exts(&[NO_USER_ROOT], domain::IO, EPERM, 0)],
    ),
];
