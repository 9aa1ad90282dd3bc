// SPDX-License-Identifier: GPL-2.0-only

//! Classifies the frames in entries from this domain's view.

use crate::tables::read_word;
use kernel::bindings;

/// The meaning of a frame number in an entry.
pub(crate) enum Frame {
    /// An ordinary frame: there is no Xen, or Xen hides the difference.
    Native,
    /// A machine frame of this domain, and the pseudo-physical frame that it backs.
    Local(usize),
    /// A machine frame with the same number as the pseudo-physical one: device memory.
    Identity,
    /// A machine frame of another domain, or of Xen.
    Foreign,
}

/// Tag of identity words in the p2m list.
const IDENTITY: usize = 1 << 62;

/// Whether page tables hold machine frames.
pub(crate) fn is_pv_domain() -> bool {
    // SAFETY: Set at boot, constant afterwards.
    unsafe { bindings::xen_domain_type == bindings::xen_domain_type_XEN_PV_DOMAIN }
}

/// Returns the entry of Xen's m2p table for `mfn`, if there is one.
fn m2p(mfn: usize) -> Option<usize> {
    // SAFETY: Both are set at boot and never change.
    let (table, entries) = unsafe {
        (
            bindings::machine_to_phys_mapping,
            bindings::machine_to_phys_nr,
        )
    };
    if mfn >= entries {
        return None;
    }
    read_word(table.wrapping_add(mfn) as usize).map(|word| word as usize)
}

/// Returns the word of the p2m list for `pfn`.
fn p2m(pfn: usize) -> usize {
    // SAFETY: Any number is allowed.
    unsafe { bindings::get_phys_to_machine(pfn) }
}

impl Frame {
    /// Classifies frame `number` of an entry.
    pub(crate) fn of(number: usize) -> Self {
        if !is_pv_domain() {
            return Frame::Native;
        }
        // The m2p table covers all domains: the frame is local if the p2m list agrees.
        match m2p(number) {
            Some(pfn) if p2m(pfn) == number => Frame::Local(pfn),
            _ if p2m(number) == number | IDENTITY => Frame::Identity,
            _ => Frame::Foreign,
        }
    }

    /// Returns the pseudo-physical number of frame `number` of an entry, if it has one.
    pub(crate) fn pseudo_physical(number: usize) -> Option<usize> {
        match Self::of(number) {
            Frame::Native | Frame::Identity => Some(number),
            Frame::Local(pfn) => Some(pfn),
            Frame::Foreign => None,
        }
    }
}
