// SPDX-License-Identifier: GPL-2.0

//! Frames in entries, and what they are to this domain.

use crate::tables::read_word;
use kernel::bindings;

/// What the number of a frame in an entry stands for.
pub(crate) enum Frame {
    /// There is no Xen, or it hides the difference: a frame like any other.
    Native,
    /// A machine frame of this domain, and the pseudo-physical frame that it backs.
    Local(usize),
    /// A machine frame that has the same number as a pseudo-physical one: device memory.
    Identity,
    /// A machine frame of another domain, or of Xen.
    Foreign,
}

/// Tag of words in the p2m list that say "the same number".
const IDENTITY: usize = 1 << 62;

/// Whether page tables hold machine frames.
pub(crate) fn is_pv_domain() -> bool {
    // SAFETY: Decided at boot.
    unsafe { bindings::xen_domain_type == bindings::xen_domain_type_XEN_PV_DOMAIN }
}

/// Returns what Xen's m2p table says of `mfn`, if it says anything.
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

/// Returns what the p2m list says of `pfn`.
fn p2m(pfn: usize) -> usize {
    // SAFETY: Takes any number.
    unsafe { bindings::get_phys_to_machine(pfn) }
}

impl Frame {
    /// Finds out about frame `number` of an entry.
    pub(crate) fn of(number: usize) -> Self {
        if !is_pv_domain() {
            return Frame::Native;
        }
        // The m2p table speaks of all domains: the frame is ours if our list agrees.
        match m2p(number) {
            Some(pfn) if p2m(pfn) == number => Frame::Local(pfn),
            _ if p2m(number) == number | IDENTITY => Frame::Identity,
            _ => Frame::Foreign,
        }
    }

    /// Returns the number by which the kernel knows frame `number` of an entry, if it does.
    pub(crate) fn pseudo_physical(number: usize) -> Option<usize> {
        match Self::of(number) {
            Frame::Native | Frame::Identity => Some(number),
            Frame::Local(pfn) => Some(pfn),
            Frame::Foreign => None,
        }
    }
}
