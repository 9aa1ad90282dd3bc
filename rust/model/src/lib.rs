// SPDX-License-Identifier: GPL-2.0

//! A model of how Xen 4.20 (a release build) treats the page tables of 64-bit PV guests.
//!
//! [`Machine`] is a machine with its frames, Xen, and guests. A test makes one, builds domains in
//! it ([`Machine::create_domain`]), issues their hypercalls, and accesses memory as they do. The
//! model accepts and refuses what Xen does, with the errors and in the order of checks that Xen
//! has, and counts what the work costs ([`Stats`]).
#![forbid(unsafe_code)]

mod access;
mod alloc;
mod assist;
mod check;
mod config;
mod descriptors;
mod domain;
pub mod entry;
mod frame;
mod grant;
mod hooks;
#[cfg(test)]
mod invariants;
mod l1tf;
mod leaf;
mod ledger;
mod machine;
mod memory;
mod mmu_update;
mod mmuext;
mod multicall;
mod noise;
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

pub use access::{
    Store,
    Walk,
    M2P_END,
    XEN_END,
    XEN_START, //
};
pub use config::{
    Config,
    MemoryKind,
    MemoryRange, //
};
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
pub use hooks::{
    Call,
    Injector,
    Interloper,
    Site, //
};
pub use ledger::LostDirty;
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
pub use noise::Noise;
pub use raw::number;
pub use rng::Rng;
pub use save::{
    shared_info,
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
