// SPDX-License-Identifier: GPL-2.0

//! A model of how Xen 4.20 (a release build) treats the page tables of 64-bit PV guests.
//!
//! [`Machine`] is a machine with its frames, Xen, and guests. A test makes one, builds domains in
//! it ([`Machine::create_domain`]), issues their hypercalls, and accesses memory as they do. The
//! model accepts and refuses what Xen does, with the errors and in the order of checks that Xen
//! has, and counts what the work costs ([`Stats`]).
//!
//! ```
//! use xen_model::*;
//!
//! let mut machine = Machine::new(Config::new(4096, 1));
//! let guest = machine.create_domain(DomainConfig::domu(2048)).unwrap();
//! let root = machine.start_of_day(guest).root;
//! // A root that is pinned is not pinned again.
//! let pin = MmuExtOp::Pin(Level::L4, root);
//! assert_eq!(machine.mmuext_one(guest.vcpu(0), pin), Err(Errno::EINVAL));
//! machine.assert_sound();
//! ```
//!
//! # How to read it
//!
//! | What | Where |
//! |---|---|
//! | frames, references to them and to their types | `frame`, `typing`, `alloc` |
//! | entries, and what leaves refer to | `entry`, `leaf`, `l1tf` |
//! | promotion and teardown of tables | `promote` |
//! | changes of a live entry | `update`, `mmu_update`, `va_mapping`, `ptwr`, `grant` |
//! | pins, roots, flushes | `mmuext`, `tlb` |
//! | memory operations, assists, descriptors | `memory`, `vm_assist`, `descriptors` |
//! | multicalls, arguments in guest memory | `multicall`, `raw` |
//! | the guest's loads and stores | `access`, `walk` |
//! | domains, and how they begin | `domain`, `start_of_day` |
//! | the toolstack | `save`, `restore` |
//! | what tests add: errors, other vCPUs, hardware | `hooks`, `hardware` |
//! | what tests check | `dirty_ledger`, `check` |
//!
//! # What it leaves out
//!
//! - Promotions and teardowns are atomic: nobody sees a table that is half of either.
//! - Linear tables, by which an entry refers to a table of its own level, are refused.
//! - A vCPU has a physical CPU to itself; there is no process context identifier, and no private
//!   copy of the root (XPTI).
//! - Once an entry that is not safe against L1TF was seen, shadow paging is noted and changes
//!   nothing else.
//! - Call gates in descriptor tables are refused, and an LDT is noted and not loaded.
//! - Caches of memory have no effect: `MMUEXT_FLUSH_CACHE` only checks the right to it.
//!
//! # Invariants of the contract that have no reaction to see here
//!
//! - I9, second half, and the part of I14 in which a guest gets `#GP`: debug builds of Xen only.
//! - I34, for `memory_op`: its command is a method here, and cannot have bits too many.
//! - I23 is the caller's for arrays that are passed as slices, which cannot change meanwhile;
//!   [`Machine::hypercall`] reads them from the guest's memory.
#![forbid(unsafe_code)]

mod access;
mod alloc;
mod check;
mod config;
mod descriptors;
mod dirty_ledger;
mod domain;
pub mod entry;
mod frame;
mod grant;
mod hardware;
mod hooks;
#[cfg(test)]
mod invariants;
mod l1tf;
mod leaf;
mod machine;
mod memory;
mod mmu_update;
mod mmuext;
mod multicall;
mod promote;
mod ptwr;
mod raw;
mod restore;
mod rng;
mod save;
mod start_of_day;
mod stats;
#[cfg(test)]
mod testing;
mod tlb;
mod types;
mod typing;
mod update;
mod va_mapping;
mod vm_assist;
mod walk;

pub use access::{
    Store,
    M2P_END,
    XEN_END,
    XEN_START, //
};
pub use config::{
    Config,
    MemoryKind,
    MemoryRange, //
};
pub use dirty_ledger::LostDirty;
pub use domain::{
    Assists,
    DomainConfig,
    Kind,
    ListPages,
    Mode, //
};
pub use entry::{
    Entry,
    Level, //
};
pub use frame::{
    Frame,
    Owner,
    PageType,
    Reason,
    INVALID_M2P,
    POISON, //
};
pub use grant::{
    gntmap,
    Grant,
    GrantError,
    GrantMap,
    GrantUnmap,
    Granted, //
};
pub use hardware::HardwareActivity;
pub use hooks::{
    Call,
    Injector,
    Interloper,
    Site,
    Watcher, //
};
pub use machine::Machine;
pub use memory::{
    ExchangeOutcome,
    MachphysMapping, //
};
pub use mmu_update::MmuUpdate;
pub use mmuext::{
    MmuExtOp,
    VcpuBitmap, //
};
pub use multicall::MulticallEntry;
pub use raw::number;
pub use rng::Rng;
pub use save::{
    shared_info,
    ListLength,
    ListView,
    ListWatch,
    SaveError, //
};
pub use start_of_day::{
    sif,
    BuildError,
    StartOfDay, //
};
pub use stats::Stats;
pub use tlb::Translation;
pub use types::{
    domid,
    Crash,
    DomainId,
    Errno,
    Fault,
    FaultKind,
    Mfn,
    Pfn,
    UpdateOutcome,
    Vcpu,
    ENTRIES,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
pub use va_mapping::uvmf;
pub use walk::Walk;
