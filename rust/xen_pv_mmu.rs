// SPDX-License-Identifier: GPL-2.0-only

//! The PV MMU backend of Linux on Xen.
//!
//! A Xen PV guest builds the page tables that the CPU walks. Their entries hold machine frames, and
//! the tables are mapped read-only: the guest changes entries by hypercalls, which Xen checks. The
//! rest of Linux works with pseudo-physical frames, whose numbers have a meaning in this guest
//! only. This crate converts entries between the two, hands tables over to Xen and takes them back,
//! batches hypercalls, and keeps the list of the machine frame behind each pseudo-physical frame.
//!
//! With `CONFIG_XEN_PV_MMU_RUST=y` it replaces `mmu_pv.c`, `p2m.c` and `multicalls.c`, and provides
//! the same symbols.
//!
//! A module uses modules of its own layer and of the layers below, and no two modules use each
//! other in a circle. `make check` holds the imports to this map:
//!
//! ```text
//!   ops                                               entry points: what C calls
//!   boot  suspend  contiguous  remap  grant  nonram   features
//!   p2m::build  p2m::grow                             mapping of the p2m list
//!   pin  cr3  ptpage  upper  fixmap                   page-table operations
//!   pte  tlb  direct_map                              single entries, translations
//!   multicall                                         batching
//!   convert  walk  p2m                                structures
//!   platform                                          interface to hardware, kernel and Xen
//!   entry  p2m_word  addr  level                      types, without side effects
//! ```
//!
//! The p2m list is in two layers. Page-table operations look frames up in it, so lookups stand
//! below them. The list is mapped by page tables, so building and growing it stands above them.
//!
//! # Phases
//!
//! *Start of day*: one CPU runs, all page tables are the kernel's own and known to Xen, and there
//! is no `struct page`. *Run time*, from `init_after_bootmem` on: a table's `struct page` says
//! whether Xen knows the table ([`TablePage`], which early code cannot create).
//!
//! [`TablePage`]: platform::paging::pages::TablePage
//!
//! # Lock order
//!
//! 1. `init_mm.page_table_lock`
//! 2. `pgd_lock`
//! 3. `mm->page_table_lock`
//! 4. locks of single tables of level 1, nested below 3
//! 5. the lock of the p2m list, or that of contiguous regions
//!
//! The queue of hypercalls has no lock: it belongs to its CPU and is used with interrupts off.
//!
//! # Soundness
//!
//! `unsafe` is confined to [`platform`], to the entry points in [`ops`], and to the access of
//! [`multicall`] to the queue of its CPU; the other modules forbid it. Rust's rules do not cover
//! three kinds of damage, which these modules prevent: a writable alias of a table ([`ptpage`] and
//! [`pin`]; Xen refuses one, too), a stale translation (callers of [`tlb`]; [`p2m`] for its own
//! list), and a leaked frame ([`p2m`] and [`contiguous`]).

mod addr;
mod boot;
mod contiguous;
mod convert;
mod cr3;
mod direct_map;
mod entry;
mod fixmap;
mod grant;
mod level;
mod multicall;
mod nonram;
mod ops;
mod p2m;
mod p2m_word;
mod pin;
mod platform;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[path = "testing/probes/mod.rs"]
mod probes;
mod pte;
mod ptpage;
mod remap;
mod suspend;
mod tlb;
mod upper;
mod walk;

const __LOG_PREFIX: &[u8] = b"xen_pv_mmu\0";
