// SPDX-License-Identifier: GPL-2.0-only

//! Operations on grants: frames that another domain allows this one to map.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::level::{
    Index,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::platform::paging::table::Table;
use crate::platform::xen::hypercall;
use kernel::bindings;

/// A grant to map, and its status afterwards.
pub(crate) type MapGrant = bindings::gnttab_map_grant_ref;

/// A grant to unmap, and its status afterwards.
pub(crate) type UnmapGrant = bindings::gnttab_unmap_grant_ref;

/// Status: the operation was carried out.
pub(crate) const GRANT_OKAY: i16 = bindings::GNTST_okay as i16;

/// Status: the operation failed for a reason within this domain.
pub(crate) const GRANT_GENERAL_ERROR: i16 = bindings::GNTST_general_error as i16;

/// Maps the grants of `ops`, and sets the status of each.
///
/// Returns 0, or a negative errno; then no status is valid.
///
/// Context: any.
pub(crate) fn map_grants(ops: &mut [MapGrant]) -> i32 {
    // SAFETY: The slice holds that many operations. They come from the C caller of an entry point,
    // which guarantees that it may map these grants at these addresses.
    unsafe {
        hypercall::grant_table_op(
            bindings::GNTTABOP_map_grant_ref,
            ops.as_mut_ptr().cast(),
            ops.len() as u32,
        ) as i32
    }
}

/// Unmaps the grants of `ops`, and sets the status of each.
///
/// Returns 0, or a negative errno; then no status is valid.
///
/// Context: any.
pub(crate) fn unmap_grants(ops: &mut [UnmapGrant]) -> i32 {
    // SAFETY: As in `map_grants()`.
    unsafe {
        hypercall::grant_table_op(
            bindings::GNTTABOP_unmap_grant_ref,
            ops.as_mut_ptr().cast(),
            ops.len() as u32,
        ) as i32
    }
}

/// Whether the operation names the entry that maps the grant, instead of an address.
///
/// Context: any.
pub(crate) fn names_entry(op: &MapGrant) -> bool {
    op.flags & bindings::GNTMAP_contains_pte != 0
}

/// Whether the operation maps the grant for devices as well.
///
/// Context: any.
pub(crate) fn maps_for_device(op: &MapGrant) -> bool {
    op.flags & bindings::GNTMAP_device_map != 0
}

/// Returns the machine frame that a successful operation has mapped; `None` if the entry that the
/// operation names is not in RAM of the domain.
///
/// Context: any; the grant stays mapped meanwhile.
pub(crate) fn mapped_frame(op: &MapGrant) -> Option<Mfn> {
    if names_entry(op) {
        let address = op.host_addr as usize;
        let index = Index::at_offset(address % PAGE_SIZE);
        // SAFETY: Xen has taken the address for that of an entry, so the frame holds a table. There
        // are no grants before all memory is mapped.
        let table = unsafe { Table::in_frame(Mfn::new(address >> PAGE_SHIFT)) }?;
        Some(table.entry(index).read().mfn())
    } else {
        Some(Mfn::new(op.dev_bus_addr as usize >> PAGE_SHIFT))
    }
}

/// Pages of the kernel behind which frames of other domains are mapped.
///
/// Context: any, for all methods.
pub(crate) struct GrantPages<'a>(pub(super) &'a [*mut bindings::page]);

impl<'a> GrantPages<'a> {
    /// Takes over an array of pages from C.
    ///
    /// # Safety
    ///
    /// `pages` points to `count` pointers to `struct page`s while the result is used.
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
