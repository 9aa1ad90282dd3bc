// SPDX-License-Identifier: GPL-2.0-only

//! Definition of a probe.
//!
//! A probe is a short list of operations on page tables, each with the result that Xen's contract
//! gives it. Numbers are those of Xen's interface on purpose: the backend's definitions are not
//! used.

/// Bits of entries.
pub(crate) mod bits {
    pub(crate) const P: u64 = 1 << 0;
    pub(crate) const RW: u64 = 1 << 1;
    pub(crate) const USER: u64 = 1 << 2;
    pub(crate) const PWT: u64 = 1 << 3;
    pub(crate) const PCD: u64 = 1 << 4;
    pub(crate) const ACCESSED: u64 = 1 << 5;
    pub(crate) const DIRTY: u64 = 1 << 6;
    /// The size of a page above level 1, part of the memory type at level 1.
    pub(crate) const PSE: u64 = 1 << 7;
    pub(crate) const GLOBAL: u64 = 1 << 8;
    /// The software bits next to the flags.
    pub(crate) const SOFT: u64 = 7 << 9;
    /// The bit with which Xen marks kernel leaves.
    pub(crate) const KERNEL: u64 = 1 << 52;
    /// The software bits above the frame that are unused.
    pub(crate) const SOFT_HIGH: u64 = 0x1ff << 53;
    pub(crate) const NX: u64 = 1 << 63;
    /// Flags that map the target's frames.
    pub(crate) const READ_WRITE: u64 = READ_ONLY | RW | DIRTY;
    /// Flags that map them before they become tables.
    pub(crate) const READ_ONLY: u64 = P | ACCESSED | NX;
    /// The frame field.
    pub(crate) const FRAME: u64 = ((1 << 52) - 1) & !((1 << 12) - 1);
}

/// Results of hypercalls, as Xen returns them.
pub(crate) mod errno {
    pub(crate) const OK: i64 = 0;
    pub(crate) const EPERM: i64 = -1;
    pub(crate) const ESRCH: i64 = -3;
    pub(crate) const EACCES: i64 = -13;
    pub(crate) const EFAULT: i64 = -14;
    pub(crate) const EBUSY: i64 = -16;
    pub(crate) const EINVAL: i64 = -22;
    pub(crate) const ENOSYS: i64 = -38;
    pub(crate) const EOPNOTSUPP: i64 = -95;
}

/// Numbers of domains in hypercalls.
pub(crate) mod domain {
    pub(crate) const SELF: u64 = 0x7ff0;
    pub(crate) const IO: u64 = 0x7ff1;
    /// The number of dom0, where the probes run.
    pub(crate) const OWN_NUMBER: u64 = 0;
    /// A number that no domain has.
    pub(crate) const NOBODY: u64 = 0x7abc;
    /// Returns the word that names the owners of the frames and of the tables.
    pub(crate) const fn with_tables_of(frames: u64, tables: u64) -> u64 {
        frames | ((tables + 1) << 16)
    }
}

/// Addresses where no target has memory.
pub(crate) mod address {
    /// Belongs to Xen.
    pub(crate) const OF_XEN: u64 = 0xffff_8000_0000_0000;
    /// Not canonical.
    pub(crate) const NO_ADDRESS: u64 = 0x0000_8000_0000_0000;
    /// No table of level 1 maps it.
    pub(crate) const WITHOUT_TABLE: u64 = 0x0000_1234_5678_9000;
}

/// A machine frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    /// One of the target's own: mapped writable at its own address, and filled with zeroes.
    Own(usize),
    /// The frame of this number.
    Number(u64),
    /// A frame of Xen's own.
    Xen,
    /// The page with events and time that Xen shares with the domain.
    SharedInfo,
    /// A frame of another domain.
    Foreign,
}

pub(crate) const A: Frame = Frame::Own(0);
pub(crate) const B: Frame = Frame::Own(1);
pub(crate) const C: Frame = Frame::Own(2);
pub(crate) const D: Frame = Frame::Own(3);
pub(crate) const E: Frame = Frame::Own(4);

/// The frame number of all ones.
pub(crate) const ALL_ONES: Frame = Frame::Number((1 << 40) - 1);

/// An entry of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(super) frame: Frame,
    pub(super) flags: u64,
}

/// The entry that is empty.
pub(crate) const NONE: Entry = word(0);

/// Returns the entry that points to `frame`.
pub(crate) const fn to(frame: Frame, flags: u64) -> Entry {
    Entry { frame, flags }
}

/// Returns the entry that is this word.
pub(crate) const fn word(word: u64) -> Entry {
    Entry {
        frame: Frame::Number((word & bits::FRAME) >> 12),
        flags: word & !bits::FRAME,
    }
}

/// An address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// That of one of the target's frames.
    Of(Frame),
    /// This one.
    At(u64),
}

/// An element of `mmu_update`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    pub(super) command: u64,
    pub(super) table: Frame,
    pub(super) index: usize,
    pub(super) entry: Entry,
}

/// Commands of `mmu_update`.
pub(crate) mod command {
    pub(crate) const NORMAL: u64 = 0;
    pub(crate) const MACHPHYS: u64 = 1;
    pub(crate) const PRESERVE_AD: u64 = 2;
    pub(crate) const NO_TRANSLATE: u64 = 3;
}

/// Returns the element that sets an entry with `command`.
pub(crate) const fn by(command: u64, table: Frame, index: usize, entry: Entry) -> Update {
    Update {
        command,
        table,
        index,
        entry,
    }
}

/// Returns the element that sets an entry.
pub(crate) const fn set(table: Frame, index: usize, entry: Entry) -> Update {
    by(command::NORMAL, table, index, entry)
}

/// An argument of an extended operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    /// The number of a frame.
    Mfn(Frame),
    /// The address of one of the target's frames.
    Address(Frame),
    /// This word.
    Word(u64),
}

/// An element of `mmuext_op`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ext {
    pub(super) command: u64,
    pub(super) args: [Arg; 2],
}

/// Commands of `mmuext_op`.
pub(crate) mod ext {
    use super::*;

    pub(crate) const UNPIN: u64 = 4;
    pub(crate) const NEW_BASEPTR: u64 = 5;
    pub(crate) const TLB_FLUSH_LOCAL: u64 = 6;
    pub(crate) const INVLPG_LOCAL: u64 = 7;
    pub(crate) const TLB_FLUSH_MULTI: u64 = 8;
    pub(crate) const INVLPG_MULTI: u64 = 9;
    pub(crate) const TLB_FLUSH_ALL: u64 = 10;
    pub(crate) const INVLPG_ALL: u64 = 11;
    pub(crate) const FLUSH_CACHE: u64 = 12;
    pub(crate) const SET_LDT: u64 = 13;
    pub(crate) const NEW_USER_BASEPTR: u64 = 15;
    pub(crate) const CLEAR_PAGE: u64 = 16;
    pub(crate) const COPY_PAGE: u64 = 17;
    pub(crate) const MARK_SUPER: u64 = 19;
    pub(crate) const UNMARK_SUPER: u64 = 20;

    /// Returns an operation with two arguments.
    pub(crate) const fn op2(command: u64, first: Arg, second: Arg) -> Ext {
        Ext {
            command,
            args: [first, second],
        }
    }

    /// Returns an operation with one argument.
    pub(crate) const fn op(command: u64, arg: Arg) -> Ext {
        op2(command, arg, Arg::Word(0))
    }

    /// Returns the operation that pins a table of `level`.
    pub(crate) const fn pin(level: u64, frame: Frame) -> Ext {
        op(level - 1, Arg::Mfn(frame))
    }

    /// Returns the operation that unpins a table.
    pub(crate) const fn unpin(frame: Frame) -> Ext {
        op(UNPIN, Arg::Mfn(frame))
    }

    /// Returns the operation that sets the root for user mode.
    pub(crate) const fn user_root(frame: Frame) -> Ext {
        op(NEW_USER_BASEPTR, Arg::Mfn(frame))
    }
}

/// Flags of `update_va_mapping`.
pub(crate) mod flush {
    pub(crate) const NOTHING: u64 = 0;
    pub(crate) const TLB: u64 = 1;
    pub(crate) const PAGE: u64 = 2;
    /// On all vCPUs.
    pub(crate) const ALL: u64 = 4;
}

/// A call in a multicall.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// `update_va_mapping`, without a flush.
    Map(Place, Entry),
    /// `mmu_update` of one element.
    Update(Update),
    /// `mmuext_op` of one element.
    Ext(Ext),
    /// The hypercall of this number, with no arguments.
    Other(u64),
}

/// Hypercalls that take an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Array {
    MmuUpdate,
    MmuextOp,
    Multicall,
}

/// A step of a probe, with the expected result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// `update_va_mapping`, with flags and the result.
    Map(Place, Entry, u64, i64),
    /// As [`Step::Map`], for frames of a domain.
    MapOf(Place, Entry, u64, i64),
    /// `mmu_update` of one element, and the result.
    Update(Update, i64),
    /// `mmu_update` with domains; the result, and how many elements are done.
    Updates(&'static [Update], u64, i64, u64),
    /// `mmuext_op` of one element, and the result.
    Ext(Ext, i64),
    /// `mmuext_op` with a domain; the result, and how many elements are done.
    Exts(&'static [Ext], u64, i64, u64),
    /// A multicall: each call with its result.
    Multicall(&'static [(Call, i64)]),
    /// A hypercall with an array of one element at this address, and the result.
    ArrayAt(Array, u64, i64),
    /// A store by the CPU, and whether it is carried out.
    Store(Frame, usize, Entry, bool),
    /// The word is this entry.
    Shows(Frame, usize, Entry),
    /// The word differs from this entry.
    Differs(Frame, usize, Entry),
    /// A load by the CPU faults.
    Unmapped(Frame),
    /// `XENMEM_decrease_reservation` of one extent: how many are given back.
    Decrease(Frame, u64, i64),
    /// `XENMEM_populate_physmap` of one extent where the frame was: how many are allocated.
    Populate(Frame, u64, i64),
    /// `XENMEM_exchange` of an extent of an order for one that starts where a frame of the target
    /// is, of another order; the result.
    Exchange(Frame, u64, Frame, u64, i64),
    /// `XENMEM_machphys_mapping`: the result, start and end.
    Machphys(i64, u64, u64),
    /// `memory_op` of this number without an argument, and the result.
    MemoryOp(u64, i64),
}

/// Whether a probe runs on Xen, on the model, or on both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    /// It runs on both.
    Anywhere,
    /// It runs on the model only, for this reason.
    ModelOnly(&'static str),
    /// It runs on Xen only: the model differs, for this reason.
    XenOnly(&'static str),
}

/// A probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// The rule that it shows.
    pub(crate) name: &'static str,
    /// Whether it runs on Xen, on the model, or on both.
    pub(crate) place: Where,
    /// Its steps.
    pub(crate) steps: &'static [Step],
}

/// Returns a probe that runs on both.
pub(crate) const fn probe(name: &'static str, steps: &'static [Step]) -> Probe {
    Probe {
        name,
        place: Where::Anywhere,
        steps,
    }
}

/// Returns a probe that runs on the model only.
pub(crate) const fn model_only(
    name: &'static str,
    reason: &'static str,
    steps: &'static [Step],
) -> Probe {
    Probe {
        name,
        place: Where::ModelOnly(reason),
        steps,
    }
}

/// Returns a probe that runs on Xen only.
pub(crate) const fn xen_only(
    name: &'static str,
    reason: &'static str,
    steps: &'static [Step],
) -> Probe {
    Probe {
        name,
        place: Where::XenOnly(reason),
        steps,
    }
}
