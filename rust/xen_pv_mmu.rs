// SPDX-License-Identifier: GPL-2.0

//! The PV MMU backend of Linux on Xen.
//!
//! A Xen PV guest manages the page tables that the CPU walks, with machine frames in them, but may
//! not write to them: they are mapped read-only, and changed by hypercalls that Xen checks. What
//! the rest of Linux takes for physical frames are numbers of the guest's own. This crate stands
//! between the two: it converts entries, hands tables over to Xen and takes them back, batches
//! hypercalls, and keeps the list of which machine frame backs which frame.
//!
//! With `CONFIG_XEN_PV_MMU_RUST=y` it takes the place of `mmu_pv.c`, `p2m.c` and `multicalls.c`,
//! behind the same symbols.
//!
//! Each module uses modules of its own layer and of the layers below, and no two use each other in
//! a circle; `make check` holds the imports to this map:
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
//! The p2m list is in two layers: lookups need no page-table operations, which need lookups, but
//! the list is mapped by page tables itself.
//!
//! # Phases
//!
//! *Start of day*: one CPU, all page tables are the kernel's own and known to Xen, no
//! `struct page`. *Run time*, from `init_after_bootmem` on: a table's `struct page` says whether
//! Xen knows it ([`platform::TablePage`], which early code cannot get hold of).
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
//! `unsafe` is confined to [`platform`], to the edge in [`ops`] and to how [`multicall`] gets at
//! the queue of its CPU; the other modules forbid it. Damage that Rust's rules know nothing of, and
//! who rules it out: a writable alias of a table ([`ptpage`], [`pin`], with Xen refusing it), a
//! stale translation (callers of [`tlb`]; [`p2m`] for its own list), a leaked frame ([`p2m`],
//! [`contiguous`]).

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
