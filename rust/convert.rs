// SPDX-License-Identifier: GPL-2.0-only

//! Converts page-table entries between machine and pseudo-physical frames.
//!
//! Only present entries are converted. Other entries hold swap entries, the inverted frames of
//! PROT_NONE mappings and so on, but never a machine frame. So they stay valid when the domain
//! moves to another host, and L1TF cannot exploit them.

#![forbid(unsafe_code)]

use crate::entry::{
    bits,
    MachineEntry,
    PseudoEntry, //
};
use crate::p2m;
use crate::platform::xen::frames;

/// Returns the entry to write into a page table for `entry`.
///
/// The result is empty if the frame has no machine frame: then nothing is mapped.
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

/// Returns `entry` as generic code sees it.
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

/// As [`to_machine`], for mappings that are made while the direct map is built.
///
/// The pages of Xen's p2m list and of the tables that map it become read-only.
///
/// Context: start of day.
pub(crate) fn to_machine_early(entry: PseudoEntry) -> MachineEntry {
    if frames::is_initial_p2m_frame(entry.pfn()) {
        to_machine(entry.without(bits::RW))
    } else {
        to_machine(entry)
    }
}
