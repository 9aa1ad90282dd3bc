// SPDX-License-Identifier: GPL-2.0-only

//! Updates the p2m list when frames of other domains are mapped and unmapped by grants.
//!
//! A granted frame is mapped behind a page of the kernel that has no machine frame of its own.
//! While it is mapped, the p2m entry of the page holds the granted frame, marked as foreign. Each
//! slot of a request has its own status. A slot that fails does not affect the others.

#![forbid(unsafe_code)]

use crate::p2m;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::diag::report;
use crate::platform::xen::abi::INVALID_GRANT_HANDLE;
use crate::platform::xen::grants::{
    self,
    GrantPages,
    MapGrant,
    UnmapGrant,
    GRANT_GENERAL_ERROR,
    GRANT_OKAY, //
};

const EINVAL: i32 = 22;

/// Enters the frames that `map_ops` have mapped into the p2m list, and carries out `kernel_ops`
/// (`set_foreign_p2m_mapping()`).
///
/// `kernel_ops`, if given, map the same grants for the kernel. The words of `pages` have to be in
/// pages of the list's own, for which drivers call `xen_alloc_p2m_entry()` when they allocate a
/// page for grants. A slot whose word is in a shared page is unmapped again, and its status is an
/// error.
///
/// Returns 0, or the negative errno with which Xen refused `kernel_ops` as a whole.
///
/// Context: any; netback maps in softirqs.
pub(crate) fn map(
    map_ops: &mut [MapGrant],
    mut kernel_ops: Option<&mut [MapGrant]>,
    pages: &GrantPages<'_>,
) -> i32 {
    if let Some(ops) = &mut kernel_ops {
        let ret = grants::map_grants(ops);
        if ret != 0 {
            return ret;
        }
    }
    for (index, op) in map_ops.iter_mut().enumerate().take(pages.len()) {
        let kernel_op = kernel_ops.as_mut().and_then(|ops| ops.get_mut(index));
        let is_mapped =
            op.status == GRANT_OKAY && kernel_op.as_ref().is_none_or(|op| op.status == GRANT_OKAY);
        if !is_mapped {
            continue;
        }
        let pfn = pages.pfn(index);
        if !p2m::word(pfn).is_missing() && report::may_report() {
            kernel::pr_warn!(
                "frame {:#x} gets a foreign frame but has one of its own\n",
                pfn.raw()
            );
        }
        let is_noted = grants::mapped_frame(op)
            .is_some_and(|mfn| p2m::try_set(pfn, P2mWord::encode(pfn, P2mEntry::Foreign(mfn))));
        if !is_noted {
            undo(op, kernel_op);
        }
    }
    0
}

/// Returns the operation that unmaps what `op` has mapped, and marks `op` as failed.
fn fail(op: &mut MapGrant) -> UnmapGrant {
    let unmap = UnmapGrant {
        host_addr: op.host_addr,
        dev_bus_addr: if grants::maps_for_device(op) {
            op.dev_bus_addr
        } else {
            0
        },
        handle: op.handle,
        status: GRANT_GENERAL_ERROR,
    };
    op.status = GRANT_GENERAL_ERROR;
    op.handle = INVALID_GRANT_HANDLE;
    unmap
}

/// Unmaps a slot whose frame could not be entered into the p2m list.
#[cold]
fn undo(op: &mut MapGrant, kernel_op: Option<&mut MapGrant>) {
    let first = fail(op);
    let mut both = [first, first];
    let unmaps = match kernel_op {
        Some(kernel_op) => {
            both[1] = fail(kernel_op);
            &mut both[..]
        }
        None => &mut both[..1],
    };
    let ret = grants::unmap_grants(unmaps);
    if ret != 0 || unmaps.iter().any(|op| op.status != GRANT_OKAY) {
        kernel::pr_err!(
            "a grant stays mapped: unmap returned {}, status {:?}\n",
            ret,
            unmaps.first().map(|op| op.status)
        );
    }
}

/// Removes the foreign frames behind `pages` from the p2m list, and carries out `kernel_ops`
/// (`clear_foreign_p2m_mapping()`).
///
/// Returns 0; `-EINVAL` if one of the pages has no foreign frame; or the negative errno with which
/// Xen refused `kernel_ops` as a whole. All slots are handled in any case.
///
/// Context: any.
pub(crate) fn unmap(kernel_ops: Option<&mut [UnmapGrant]>, pages: &GrantPages<'_>) -> i32 {
    let mut ret = 0;

    for index in 0..pages.len() {
        let pfn = pages.pfn(index);
        match p2m::word(pfn).decode() {
            P2mEntry::Foreign(_) => {
                // The store succeeds: a foreign word is in a page of the list's own.
                p2m::try_set(pfn, P2mWord::MISSING);
            }
            _ => ret = -EINVAL,
        }
    }
    match kernel_ops.map(grants::unmap_grants) {
        None | Some(0) => ret,
        Some(error) => error,
    }
}
