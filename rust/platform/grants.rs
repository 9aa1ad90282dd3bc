// SPDX-License-Identifier: GPL-2.0

//! Operations on grants: frames of another domain that it lets us map.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::level::{
    Index,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::platform::{
    grant_table_op,
    Table, //
};
use kernel::bindings;

/// One grant to be mapped, and what became of it.
pub(crate) type MapGrant = bindings::gnttab_map_grant_ref;

/// One grant to be unmapped, and what became of it.
pub(crate) type UnmapGrant = bindings::gnttab_unmap_grant_ref;

/// The operation was carried out.
pub(crate) const GRANT_OKAY: i16 = bindings::GNTST_okay as i16;

/// The operation failed for a reason of ours.
pub(crate) const GRANT_GENERAL_ERROR: i16 = bindings::GNTST_general_error as i16;

/// A handle that names no grant.
pub(crate) const INVALID_GRANT_HANDLE: u32 = u32::MAX;

/// Maps the grants of `ops`; the status of each is in it afterwards.
///
/// Returns 0 or a negative errno, in which case no status is valid.
pub(crate) fn map_grants(ops: &mut [MapGrant]) -> i32 {
    // SAFETY: The slice holds as many operations; the caller of the hooks in `ops` answers for
    // what they name.
    unsafe {
        grant_table_op(
            bindings::GNTTABOP_map_grant_ref,
            ops.as_mut_ptr().cast(),
            ops.len() as u32,
        ) as i32
    }
}

/// Unmaps the grants of `ops`; the status of each is in it afterwards.
///
/// Returns 0 or a negative errno, in which case no status is valid.
pub(crate) fn unmap_grants(ops: &mut [UnmapGrant]) -> i32 {
    // SAFETY: As in `map_grants()`.
    unsafe {
        grant_table_op(
            bindings::GNTTABOP_unmap_grant_ref,
            ops.as_mut_ptr().cast(),
            ops.len() as u32,
        ) as i32
    }
}

/// Whether the operation names the entry to map the grant with, instead of an address.
pub(crate) fn names_entry(op: &MapGrant) -> bool {
    op.flags & bindings::GNTMAP_contains_pte != 0
}

/// Whether the operation maps the grant for devices as well.
pub(crate) fn maps_for_device(op: &MapGrant) -> bool {
    op.flags & bindings::GNTMAP_device_map != 0
}

/// Returns the machine frame that a successful operation mapped.
pub(crate) fn mapped_frame(op: &MapGrant) -> Option<Mfn> {
    if names_entry(op) {
        let address = op.host_addr as usize;
        let index = Index::at_offset(address % PAGE_SIZE);
        let table = Table::in_frame(Mfn::new(address >> PAGE_SHIFT))?;
        Some(table.entry(index).read().mfn())
    } else {
        Some(Mfn::new(op.dev_bus_addr as usize >> PAGE_SHIFT))
    }
}

/// Pages of the kernel that stand for the frames of other domains.
pub(crate) struct GrantPages<'a>(pub(super) &'a [*mut bindings::page]);

impl<'a> GrantPages<'a> {
    /// Takes over an array of pages from C.
    ///
    /// # Safety
    ///
    /// `pages` points to `count` pointers to `struct page`s, as long as the result is used.
    pub(crate) unsafe fn new(pages: *mut *mut bindings::page, count: usize) -> Self {
        if count == 0 {
            return Self(&[]);
        }
        // SAFETY: By the contract of this function.
        Self(unsafe { core::slice::from_raw_parts(pages, count) })
    }

    /// Returns the frame of page `index`.
    pub(crate) fn pfn(&self, index: usize) -> Pfn {
        // SAFETY: By the contract of `new()`.
        Pfn::new(unsafe { bindings::xen_pv_mmu_page_to_pfn(self.0[index]) })
    }

    /// Returns how many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
