// SPDX-License-Identifier: GPL-2.0-only

//! The steps of a trace, chosen at random.

use crate::guest::ops::Switch;
use crate::guest::process::USER_PAGES;
use crate::guest::{
    Access,
    GuestConfig, //
};
use proptest::prelude::*;

/// An operation of a process. Pages are numbers; `pick` selects one of the mapped pages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// `mmap`, of the file from page `file` on or of fresh memory.
    Map {
        first: usize,
        pages: usize,
        access: Access,
        file: Option<usize>,
    },
    /// Reads or writes.
    Touch {
        pick: usize,
        pages: usize,
        write: bool,
    },
    /// `mprotect`.
    Protect {
        pick: usize,
        pages: usize,
        access: Access,
    },
    /// `munmap`.
    Unmap { pick: usize, pages: usize },
    /// `mremap`.
    Remap {
        pick: usize,
        pages: usize,
        to: usize,
    },
    /// `fork`, with a suspend before the child is complete or without.
    Fork { suspends: bool },
    /// `execve`.
    Exec,
    /// `exit_group`, with a suspend halfway or without.
    Exit { suspends: bool },
    /// `clone`, of a thread.
    AddThread,
    /// `exit`, of a thread.
    EndThread,
    /// The CPU runs a kernel thread, which borrows the address space.
    RunKernelTask,
    /// The kernel writes pages of the file back.
    WriteBack { folio: usize },
    /// The domain is saved and continues, in other frames or the same.
    Suspend { moves: bool },
}

/// An operation, the process that does it, and the CPU it runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) cpu: u8,
    pub(crate) who: u8,
    pub(crate) op: Op,
}

/// First pages of mappings: in the first table, at borders of tables of all levels, where whole
/// tables can be moved, and at the end.
const PLACES: [usize; 7] = [
    0x10,
    0x1f4,
    TABLES[0],
    TABLES[1],
    (1 << 18) - 12,
    (1 << 27) - 12,
    USER_PAGES - 40,
];

/// First pages of tables that mappings may fill.
const TABLES: [usize; 2] = [0x400, 0x8000];

/// First pages of the file for mappings.
const FILE_PAGES: usize = 16;

fn accesses() -> impl Strategy<Value = Access> {
    prop_oneof![
        6 => Just(Access::Write),
        2 => Just(Access::Read),
        1 => Just(Access::None),
    ]
}

fn places() -> impl Strategy<Value = usize> {
    let near = (0..PLACES.len(), 0..24usize).prop_map(|(nth, offset)| PLACES[nth] + offset);
    let tables = (0..TABLES.len()).prop_map(|nth| TABLES[nth]);
    prop_oneof![6 => near, 1 => tables]
}

/// Sizes in pages: a few, rarely a table or more.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![20 => 1..16usize, 1 => 500..600usize]
}

fn picks() -> impl Strategy<Value = usize> {
    0..4096usize
}

fn mappings() -> impl Strategy<Value = Op> {
    let large = (0..TABLES.len(), 512..600usize).prop_map(|(nth, pages)| (TABLES[nth], pages));
    let small = (places(), 1..16usize);
    let file = prop_oneof![Just(None), (0..FILE_PAGES).prop_map(Some)];
    let anonymous = large.prop_map(|place| (place, None));
    (prop_oneof![12 => (small, file), 1 => anonymous], accesses()).prop_map(
        |(((first, pages), file), access)| Op::Map {
            first,
            pages,
            access,
            file,
        },
    )
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => mappings(),
        40 => (picks(), 1..8usize, any::<bool>())
            .prop_map(|(pick, pages, write)| Op::Touch { pick, pages, write }),
        8 => (picks(), lengths(), accesses())
            .prop_map(|(pick, pages, access)| Op::Protect { pick, pages, access }),
        6 => (picks(), lengths()).prop_map(|(pick, pages)| Op::Unmap { pick, pages }),
        6 => (picks(), lengths(), places())
            .prop_map(|(pick, pages, to)| Op::Remap { pick, pages, to }),
        4 => prop::bool::weighted(0.05).prop_map(|suspends| Op::Fork { suspends }),
        2 => Just(Op::Exec),
        3 => prop::bool::weighted(0.05).prop_map(|suspends| Op::Exit { suspends }),
        6 => Just(Op::AddThread),
        2 => Just(Op::EndThread),
        2 => Just(Op::RunKernelTask),
        4 => (0..FILE_PAGES / 4).prop_map(|folio| Op::WriteBack { folio }),
    ]
}

/// Returns steps; of `suspends_in` of them, one suspends the domain.
pub(crate) fn steps(count: usize, suspends_in: u32) -> impl Strategy<Value = Vec<Step>> {
    let suspend = any::<bool>().prop_map(|moves| Op::Suspend { moves });
    let op = prop_oneof![suspends_in - 1 => ops().boxed(), 1 => suspend.boxed()];
    let step = (0..3u8, 0..4u8, op).prop_map(|(cpu, who, op)| Step { cpu, who, op });
    prop::collection::vec(step, 1..=count)
}

/// The setup of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) is_dom0: bool,
    pub(crate) cpus: u32,
    pub(crate) seed: u64,
    /// Whether the CPUs walk tables at any time, as speculation does.
    pub(crate) is_noisy: bool,
    /// Which optimisations are off, as bits.
    switched_off: usize,
}

impl Setup {
    /// Returns the guest.
    pub(crate) fn config(&self) -> GuestConfig {
        let pages = 1300;
        let config = if self.is_dom0 {
            GuestConfig::dom0(pages)
        } else {
            GuestConfig::domu(pages)
        };
        config.with_cpus(self.cpus).with_seed(self.seed)
    }

    /// Returns the optimisations that are off.
    pub(crate) fn switched_off(&self) -> impl Iterator<Item = Switch> + '_ {
        let is_off = |switch: &Switch| self.switched_off & *switch as usize != 0;
        Switch::ALL.into_iter().filter(is_off)
    }
}

/// Returns setups with one to three CPUs, for any kind of domain or only for those that are saved.
pub(crate) fn setups(is_dom0: impl Strategy<Value = bool>) -> impl Strategy<Value = Setup> {
    let switched_off = prop_oneof![3 => Just(0usize), 1 => 1..16usize];
    (is_dom0, 1..4u32, any::<u64>(), any::<bool>(), switched_off).prop_map(
        |(is_dom0, cpus, seed, is_noisy, switched_off)| Setup {
            is_dom0,
            cpus,
            seed,
            is_noisy,
            switched_off,
        },
    )
}
