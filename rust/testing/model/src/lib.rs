// SPDX-License-Identifier: GPL-2.0-only

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
//! // A pinned root cannot be pinned again.
//! let pin = MmuExtOp::Pin(Level::L4, root);
//! assert_eq!(machine.mmuext_one(guest.vcpu(0), pin), Err(Errno::EINVAL));
//! machine.assert_sound();
//! ```
//!
//! # How to read it
//!
//! | What | Where |
//! |---|---|
//! | entries; numbers, identities and errors | `entry`, `types` |
//! | frames, and Xen's heap of them | `machine`: `frame`, `alloc` |
//! | references to frames and to their types | `paging`: `typing` |
//! | what leaves refer to | `paging`: `leaf`, `l1tf` |
//! | promotion and teardown of tables | `paging`: `promote` |
//! | changes of a live entry, emulated stores | `paging`: `update`, `ptwr` |
//! | hypercalls that change entries | `hypercall`: `mmu_update`, `va_mapping`, `grant` |
//! | pins, roots, flushes | `hypercall`: `mmuext`; `paging`: `tlb` |
//! | memory operations, assists, descriptors | `hypercall`: `memory`, `vm_assist`, `descriptors` |
//! | multicalls, arguments in guest memory | `hypercall`: `multicall`, `raw` |
//! | the guest's loads and stores | `paging`: `access`, `walk` |
//! | domains, and how they begin | `machine`: `domain`; `lifecycle`: `start_of_day` |
//! | the toolstack | `lifecycle`: `save`, `restore` |
//! | what tests add: errors, other vCPUs, hardware | `machine`: `hooks`, `hardware` |
//! | what tests check | `machine`: `check`; `paging`: `dirty_ledger` |
//!
//! # What it leaves out
//!
//! - Promotions and teardowns are atomic: no other vCPU sees one half done.
//! - Linear tables, where an entry refers to a table of its own level, are refused.
//! - A vCPU has a physical CPU to itself; there is no process context identifier, and no private
//!   copy of the root (XPTI).
//! - An entry that is not safe against L1TF marks the domain as shadowed and changes nothing else.
//! - Call gates in descriptor tables are refused, and an LDT is noted and not loaded.
//! - Caches of memory have no effect: `MMUEXT_FLUSH_CACHE` only checks the right to it.
//!
//! # Invariants of the contract without a reaction in this model
//!
//! - I9, second half, and the part of I14 in which a guest gets `#GP`: debug builds of Xen only.
//! - I34, for `memory_op`: its command is a method here, and cannot have extra bits.
//! - I23, for arrays that are passed as slices, which cannot change meanwhile;
//!   [`Machine::hypercall`] reads them from the guest's memory.
#![forbid(unsafe_code)]

pub mod entry;
mod hypercall;
#[cfg(test)]
mod invariants;
mod lifecycle;
mod machine;
mod paging;
mod rng;
mod stats;
#[cfg(test)]
mod testing;
mod types;

pub use entry::{
    Entry,
    Level, //
};
pub use hypercall::grant::{
    gntmap,
    Grant,
    GrantError,
    GrantMap,
    GrantUnmap,
    Granted, //
};
pub use hypercall::memory::{
    ExchangeOutcome,
    MachphysMapping, //
};
pub use hypercall::mmu_update::MmuUpdate;
pub use hypercall::mmuext::{
    MmuExtOp,
    VcpuBitmap, //
};
pub use hypercall::multicall::MulticallEntry;
pub use hypercall::raw::number;
pub use hypercall::va_mapping::uvmf;
pub use lifecycle::save::{
    shared_info,
    ListLength,
    ListView,
    ListWatch,
    SaveError, //
};
pub use lifecycle::start_of_day::{
    sif,
    BuildError,
    StartOfDay, //
};
pub use machine::config::{
    Config,
    MemoryKind,
    MemoryRange, //
};
pub use machine::domain::{
    Assists,
    DomainConfig,
    Kind,
    ListPages,
    Mode, //
};
pub use machine::frame::{
    Frame,
    Owner,
    PageType,
    Reason,
    INVALID_M2P,
    POISON, //
};
pub use machine::hardware::HardwareActivity;
pub use machine::hooks::{
    Call,
    Injector,
    Interloper,
    Site,
    Watcher, //
};
pub use machine::Machine;
pub use paging::access::{
    Store,
    M2P_END,
    XEN_END,
    XEN_START, //
};
pub use paging::dirty_ledger::LostDirty;
pub use paging::tlb::Translation;
pub use paging::walk::Walk;
pub use rng::Rng;
pub use stats::Stats;
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
