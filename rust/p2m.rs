// SPDX-License-Identifier: GPL-2.0-only

//! The p2m list: which machine frame backs each pseudo-physical frame.
//!
//! The list is an array of words in the vmalloc area, one for each [`Pfn`], read with a single
//! load. Parts of the list with uniform contents share memory:
//!
//! ```text
//!   entry of level 2 ──► own table of level 1 ──► own page of 512 words, writable
//!                   │                        ├──► the "missing" page, read-only
//!                   │                        └──► the "identity" page, read-only
//!                   ├──► the "missing" table: 512 times the "missing" page
//!                   └──► the "identity" table: 512 times the "identity" page
//! ```
//!
//! Both shared pages hold `INVALID_P2M_ENTRY` everywhere, because Xen's toolstack understands
//! nothing else. The page that holds a word tells identity frames from missing ones. A write into a
//! shared page faults, and the list grows pages of its own there ([`grow`]).
//!
//! The toolstack finds the list through `shared_info`, by its address or by the tree of frame
//! lists ([`tree`]). Words change at any time, by single stores. The mapping of the list changes
//! under one lock ([`list`]), between two changes of the generation ([`grow`]).
//!
//! This module, [`layout`], [`shared`], [`tree`] and [`list`] stand below the page-table
//! operations, which look up machine frames here. [`build`] and [`grow`] map the list with these
//! operations, so they stand above.

#![forbid(unsafe_code)]

pub(crate) mod build;
#[cfg(all(
    CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION,
    CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST
))]
mod fault_tests;
pub(crate) mod grow;
pub(crate) mod layout;
pub(crate) mod list;
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(crate) mod ranges;
pub(crate) mod shared;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod tests;
pub(crate) mod tree;

use crate::addr::{
    Maddr,
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::level::Level;
use crate::p2m_word::P2mWord;
use crate::platform::early::early_memory;
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr::{
    self,
    EntryPtr, //
};
use crate::platform::xen::machine_map::{
    self,
    xen_max_p2m_pfn, //
};
use shared::Shared;

/// Returns the word of `pfn`; frames beyond the list are identity frames.
///
/// Context: any.
#[inline(always)]
pub(crate) fn word(pfn: Pfn) -> P2mWord {
    match machine_map::p2m_load(pfn) {
        Some(word) if !word.is_missing() => word,
        _ => word_slow(pfn),
    }
}

/// The slow path of [`word`], for frames without a local machine frame (`get_phys_to_machine()`).
///
/// Context: any.
#[cold]
pub(crate) fn word_slow(pfn: Pfn) -> P2mWord {
    if machine_map::p2m_load(pfn).is_none() {
        return if pfn.raw() < xen_max_p2m_pfn.get() {
            early_memory::check_extra_memory(pfn)
        } else {
            P2mWord::identity(pfn)
        };
    }
    // Missing and identity frames have the same word; only the page that holds it differs.
    if leaf_ptr(pfn).and_then(Shared::of_leaf) == Some(Shared::Identity) {
        return P2mWord::identity(pfn);
    }
    // The word is read after the page was checked. A word that was read before could come from the
    // shared page of identity frames, if another CPU has replaced that page in between.
    machine_map::p2m_load(pfn).unwrap_or(P2mWord::MISSING)
}

/// Returns the entry of level 1 that maps the word of `pfn`.
fn leaf_ptr(pfn: Pfn) -> Option<EntryPtr> {
    match entry_ptr::lookup_address(machine_map::p2m_word_address(pfn)) {
        Some((ptr, Level::L1)) => Some(ptr),
        _ => None,
    }
}

/// Returns the machine frame of `pfn`, if there is one.
///
/// Context: any.
#[inline(always)]
pub(crate) fn mfn_of(pfn: Pfn) -> Option<Mfn> {
    word(pfn).mfn()
}

/// Returns the pseudo-physical frame of `mfn` in this domain.
///
/// Frames of other domains have none, even if they are mapped.
///
/// Context: any.
#[inline(always)]
pub(crate) fn pfn_of(mfn: Mfn) -> Option<Pfn> {
    if let Some(pfn) = machine_map::m2p_load(mfn) {
        // The m2p table covers all domains. The frame is this domain's if the p2m list agrees.
        if word(pfn).is_local(mfn) {
            return Some(pfn);
        }
    }
    identity_pfn_of(mfn)
}

#[cold]
fn identity_pfn_of(mfn: Mfn) -> Option<Pfn> {
    let pfn = Pfn::new(mfn.raw());
    (word(pfn) == P2mWord::identity(pfn)).then_some(pfn)
}

/// Returns the machine address behind an address of the direct map or the kernel image.
///
/// Without a machine frame, the result is in the frame of all ones, which Xen refuses in every
/// operation.
///
/// Context: any.
#[inline(always)]
pub(crate) fn machine_address(vaddr: Vaddr) -> Maddr {
    let paddr = address::virt_to_phys(vaddr);
    let mfn = mfn_of(paddr.pfn()).unwrap_or(Mfn::new(usize::MAX >> crate::level::PAGE_SHIFT));
    Maddr::in_frame(mfn, paddr.offset())
}

/// Stores `word` for `pfn` without growing the list (`__set_phys_to_machine()`).
///
/// Returns whether the list holds `word` for `pfn` afterwards.
///
/// Context: any.
pub(crate) fn try_set(pfn: Pfn, word: P2mWord) -> bool {
    if machine_map::p2m_load(pfn).is_none() {
        // Beyond the list there is no word to store, and nothing to do for a missing frame.
        return word.is_missing();
    }
    if machine_map::p2m_try_store(pfn, word) {
        return true;
    }
    match leaf_ptr(pfn).and_then(Shared::of_leaf) {
        Some(Shared::Missing) => word.is_missing(),
        Some(Shared::Identity) => word == P2mWord::identity(pfn),
        None => false,
    }
}

/// Makes the frames from `start` up to `end`, exclusive, identity frames.
///
/// Returns how many frames are in the list; frames beyond it are identity frames anyway.
///
/// Context: start of day, while the whole list is writable.
pub(crate) fn set_range_identity(start: Pfn, end: Pfn) -> usize {
    let mut count = 0;

    while start.add(count) < end {
        let pfn = start.add(count);
        if !machine_map::p2m_try_store(pfn, P2mWord::identity(pfn)) {
            break;
        }
        count += 1;
    }
    count
}
