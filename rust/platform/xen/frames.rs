// SPDX-License-Identifier: GPL-2.0-only

//! Frames of the domain.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::platform::early::start_of_day::StartInfo;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::xen::machine_map;

/// Returns the pseudo-physical frame of `mfn` if it is RAM of the domain: the p2m list and the m2p
/// table have to agree.
///
/// Context: any.
#[inline(always)]
pub(crate) fn own_frame(mfn: Mfn) -> Option<Pfn> {
    // The m2p table covers all domains.
    let pfn = machine_map::m2p_load(mfn)?;
    machine_map::p2m_load(pfn)?.is_local(mfn).then_some(pfn)
}

/// Whether `pfn` holds a part of Xen's p2m list or a table that maps the list, if Xen has mapped
/// the list outside of the kernel map.
///
/// Context: start of day.
pub(crate) fn is_initial_p2m_frame(pfn: Pfn) -> bool {
    let first = StartInfo::first_p2m_pfn();
    StartInfo::mfn_list() < KERNEL_MAP
        && (first..first + StartInfo::nr_p2m_frames()).contains(&pfn.raw())
}
