// SPDX-License-Identifier: GPL-2.0

//! Converts page-table entries between machine and pseudo-physical frames.
//!
//! Only present entries are converted. Those that are not may hold anything, swap entries and the
//! inverted frames of PROT_NONE mappings among it; they never hold a machine frame, so that they
//! survive a move to another host and are safe from L1TF.

#![forbid(unsafe_code)]

use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::p2m;
use crate::platform::is_initial_p2m_frame;

/// Returns the entry to be written into a page table for `entry`.
///
/// A frame without machine frame makes the entry empty, so that nothing is mapped.
///
/// Context: any.
#[inline(always)]
pub(crate) fn to_machine(entry: PseudoEntry) -> MachineEntry {
    if !entry.is_present() {
        return MachineEntry::from_raw(entry.raw());
    }
    match p2m::mfn_of(entry.pfn()) {
        Some(mfn) => MachineEntry::new(mfn, entry.protection()),
        None => MachineEntry::EMPTY,
    }
}

/// Returns what generic code gets to see of `entry`.
///
/// An entry that maps another domain's frame is shown as not present.
///
/// Context: any.
#[inline(always)]
pub(crate) fn to_pseudo(entry: MachineEntry) -> PseudoEntry {
    if !entry.is_present() {
        return PseudoEntry::from_raw(entry.raw());
    }
    match p2m::pfn_of(entry.mfn()) {
        Some(pfn) => PseudoEntry::new(pfn, entry.protection()),
        None => PseudoEntry::from_raw(entry.protection().raw() & !bits::PRESENT),
    }
}

/// As [`to_machine`], for the mappings that are made while all memory is being mapped.
///
/// The pages of Xen's p2m list and the tables that map it are mapped read-only.
///
/// Context: start of day.
pub(crate) fn to_machine_early(entry: PseudoEntry) -> MachineEntry {
    if is_initial_p2m_frame(entry.pfn()) {
        to_machine(entry.without(bits::RW))
    } else {
        to_machine(entry)
    }
}
