// SPDX-License-Identifier: GPL-2.0-only

//! Operations on grants: frames that another domain lets this one map.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::level::{
    Index,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::platform::machine::host::host;
use crate::platform::paging::table::Table;
use xen_model::{
    gntmap,
    DomainId,
    GrantMap,
    GrantUnmap, //
};

/// One grant to be mapped, and the result.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct MapGrant {
    pub(crate) host_addr: u64,
    pub(crate) flags: u32,
    pub(crate) reference: u32,
    pub(crate) domain: u16,
    pub(crate) status: i16,
    pub(crate) handle: u32,
    pub(crate) dev_bus_addr: u64,
}

/// One grant to be unmapped, and the result.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct UnmapGrant {
    pub(crate) host_addr: u64,
    pub(crate) dev_bus_addr: u64,
    pub(crate) handle: u32,
    pub(crate) status: i16,
}

/// The operation was carried out.
pub(crate) const GRANT_OKAY: i16 = 0;

/// The operation failed with an error that has no more specific status.
pub(crate) const GRANT_GENERAL_ERROR: i16 = -1;

/// Maps the grants of `ops`, and stores the status in each.
pub(crate) fn map_grants(ops: &mut [MapGrant]) -> i32 {
    let host = host();
    let asked: Vec<_> = ops
        .iter()
        .map(|op| GrantMap {
            host_addr: op.host_addr,
            flags: op.flags,
            reference: op.reference,
            domain: DomainId(op.domain),
        })
        .collect();
    let results = host.machine.borrow_mut().grant_map(host.vcpu(), &asked);
    for (op, result) in ops.iter_mut().zip(results) {
        match result {
            Ok(granted) => {
                op.status = GRANT_OKAY;
                op.handle = granted.handle;
                op.dev_bus_addr = granted.dev_bus_addr;
            }
            Err(error) => op.status = error as i16,
        }
    }
    0
}

/// Unmaps the grants of `ops`, and stores the status in each.
pub(crate) fn unmap_grants(ops: &mut [UnmapGrant]) -> i32 {
    let host = host();
    let asked: Vec<_> = ops
        .iter()
        .map(|op| GrantUnmap {
            host_addr: op.host_addr,
            dev_bus_addr: op.dev_bus_addr,
            handle: op.handle,
        })
        .collect();
    let results = host.machine.borrow_mut().grant_unmap(host.vcpu(), &asked);
    for (op, result) in ops.iter_mut().zip(results) {
        op.status = result.map_or_else(|error| error as i16, |()| GRANT_OKAY);
    }
    0
}

/// Whether the operation maps the grant for devices as well.
pub(crate) fn maps_for_device(op: &MapGrant) -> bool {
    op.flags & gntmap::DEVICE_MAP != 0
}

/// Returns the machine frame that a successful operation mapped.
pub(crate) fn mapped_frame(op: &MapGrant) -> Option<Mfn> {
    if op.flags & gntmap::CONTAINS_PTE != 0 {
        let address = op.host_addr as usize;
        let index = Index::at_offset(address % PAGE_SIZE);
        let table = Table::in_frame(Mfn::new(address >> PAGE_SHIFT))?;
        Some(table.entry(index).read().mfn())
    } else {
        Some(Mfn::new(op.dev_bus_addr as usize >> PAGE_SHIFT))
    }
}

/// Pages of the kernel that stand for the frames of other domains.
pub(crate) struct GrantPages<'a>(&'a [Pfn]);

impl<'a> GrantPages<'a> {
    /// Wraps an array of pages.
    pub(crate) fn new(pages: &'a [Pfn]) -> Self {
        Self(pages)
    }

    /// Returns the frame of page `index`.
    pub(crate) fn pfn(&self, index: usize) -> Pfn {
        self.0[index]
    }

    /// Returns how many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
