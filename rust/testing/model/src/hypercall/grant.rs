// SPDX-License-Identifier: GPL-2.0-only

//! Grants: frames that a domain lets another one map.

use crate::entry::{
    Entry,
    Level,
    ACCESSED,
    DIRTY,
    NX,
    PRESENT,
    RW,
    USER, //
};
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::machine::hooks::Call;
use crate::paging::access::is_guest_address;
use crate::paging::tlb::Flush;
use crate::paging::update::Place;
use crate::types::{
    DomainId,
    Mfn,
    Vcpu,
    PAGE_SIZE, //
};
use crate::Machine;
use std::collections::BTreeMap;

/// Flags of a mapping (`public/grant_table.h`, `GNTMAP_*`).
pub mod gntmap {
    /// For devices.
    pub const DEVICE_MAP: u32 = 1 << 0;
    /// For the CPU.
    pub const HOST_MAP: u32 = 1 << 1;
    /// Read only.
    pub const READONLY: u32 = 1 << 2;
    /// For the guest's user mode.
    pub const APPLICATION_MAP: u32 = 1 << 3;
    /// `host_addr` is the machine address of the leaf.
    pub const CONTAINS_PTE: u32 = 1 << 4;
    /// Software bits of the leaf, from here on.
    pub const AVAIL_SHIFT: u32 = 16;
}

/// Why a grant operation failed (`GNTST_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantError {
    /// `GNTST_general_error`.
    General = -1,
    /// `GNTST_bad_domain`.
    BadDomain = -2,
    /// `GNTST_bad_gntref`.
    BadReference = -3,
    /// `GNTST_bad_handle`.
    BadHandle = -4,
    /// `GNTST_bad_virt_addr`.
    BadAddress = -5,
}

/// A frame that is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The domain that may map it.
    pub to: DomainId,
    /// The frame.
    pub mfn: Mfn,
    /// Whether it may only be read.
    pub readonly: bool,
}

/// A mapping to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrantMap {
    /// Address of the page, or machine address of its leaf.
    pub host_addr: u64,
    /// Flags, see [`gntmap`].
    pub flags: u32,
    /// Number of the grant.
    pub reference: u32,
    /// The domain that granted it.
    pub domain: DomainId,
}

/// A mapping that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    /// Handle of the mapping, for unmapping it.
    pub handle: u32,
    /// Machine address of the frame.
    pub dev_bus_addr: u64,
}

/// A mapping that is to be undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrantUnmap {
    /// As in [`GrantMap`]; 0 leaves the mapping for the CPU alone.
    pub host_addr: u64,
    /// As in [`Granted`]; 0 leaves the mapping for devices alone.
    pub dev_bus_addr: u64,
    /// Handle of the mapping.
    pub handle: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    pub(crate) mfn: Mfn,
    pub(crate) flags: u32,
    /// Which of the two kinds of mapping still exist.
    pub(crate) active: u32,
}

#[derive(Default, Debug)]
pub(crate) struct GrantTable {
    grants: BTreeMap<u32, Grant>,
    pub(crate) mappings: BTreeMap<u32, Mapping>,
    next_handle: u32,
}

impl Mapping {
    pub(crate) fn is_writable(&self) -> bool {
        self.flags & gntmap::READONLY == 0
    }
}

impl Machine {
    /// Grants a frame of `domain`; this replaces a grant with the same number.
    pub fn grant(&mut self, domain: DomainId, reference: u32, grant: Grant) {
        self.domain_mut(domain)
            .grants
            .grants
            .insert(reference, grant);
    }

    /// Takes back a grant. Mappings of it stay.
    pub fn end_grant(&mut self, domain: DomainId, reference: u32) {
        self.domain_mut(domain).grants.grants.remove(&reference);
    }

    /// `GNTTABOP_map_grant_ref` with one operation for each of `ops`.
    pub fn grant_map(&mut self, who: Vcpu, ops: &[GrantMap]) -> Vec<Result<Granted, GrantError>> {
        self.enter(who);
        let mut results = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            let unit = self.unit(Call::GrantMap, who, index, ops.len());
            let unit = unit.map_err(|_| GrantError::General);
            results.push(unit.and_then(|()| self.map_one(who, op)));
        }
        self.leave();
        results
    }

    /// `GNTTABOP_unmap_grant_ref` with one operation for each of `ops`.
    pub fn grant_unmap(&mut self, who: Vcpu, ops: &[GrantUnmap]) -> Vec<Result<(), GrantError>> {
        self.enter(who);
        let mut results = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            let unit = self.unit(Call::GrantUnmap, who, index, ops.len());
            let unit = unit.map_err(|_| GrantError::General);
            results.push(unit.and_then(|()| self.unmap_one(who, op)));
        }
        let mask = self.dirty_mask(who.domain);
        self.flush_mask(&mask, Flush::All);
        self.leave();
        results
    }

    fn map_one(&mut self, who: Vcpu, op: &GrantMap) -> Result<Granted, GrantError> {
        let kinds = op.flags & (gntmap::HOST_MAP | gntmap::DEVICE_MAP);
        if kinds == 0 {
            return Err(GrantError::BadReference);
        }
        let granter = self.domains.get(&op.domain).ok_or(GrantError::BadDomain)?;
        let grant = granter.grants.grants.get(&op.reference).copied();
        let grant = grant.filter(|grant| grant.to == who.domain);
        let grant = grant.ok_or(GrantError::BadReference)?;
        let readonly = op.flags & gntmap::READONLY != 0;
        if grant.readonly && !readonly {
            return Err(GrantError::General);
        }
        let owner = op.domain;
        if kinds & gntmap::HOST_MAP != 0 {
            self.take_granted(grant.mfn, owner, !readonly)?;
            if let Err(error) = self.set_granted_leaf(who, op, grant.mfn) {
                self.drop_granted(grant.mfn, !readonly);
                return Err(error);
            }
        }
        if kinds & gntmap::DEVICE_MAP != 0 {
            self.take_granted(grant.mfn, owner, !readonly)?;
        }
        let table = &mut self.domain_mut(who.domain).grants;
        let handle = table.next_handle;
        table.next_handle += 1;
        let mapping = Mapping {
            mfn: grant.mfn,
            flags: op.flags,
            active: kinds,
        };
        table.mappings.insert(handle, mapping);
        Ok(Granted {
            handle,
            dev_bus_addr: grant.mfn.maddr(),
        })
    }

    fn take_granted(
        &mut self,
        mfn: Mfn,
        owner: DomainId,
        writable: bool,
    ) -> Result<(), GrantError> {
        if !self.get_page(mfn, Owner::Domain(owner)) {
            return Err(GrantError::General);
        }
        if writable && self.get_type(mfn, PageType::Writable).is_err() {
            self.put_page(mfn);
            return Err(GrantError::General);
        }
        Ok(())
    }

    fn drop_granted(&mut self, mfn: Mfn, writable: bool) {
        if writable {
            self.put_type(mfn);
        }
        self.put_page(mfn);
    }

    /// Returns the live leaf that `host_addr` names.
    fn leaf_place(&self, who: Vcpu, host_addr: u64, flags: u32) -> Result<Place, GrantError> {
        let by_machine_address = flags & gntmap::CONTAINS_PTE != 0;
        let (table, index) = if by_machine_address {
            if host_addr % 8 != 0 {
                return Err(GrantError::General);
            }
            (Mfn::of(host_addr), (host_addr % PAGE_SIZE / 8) as usize)
        } else {
            if !is_guest_address(host_addr) {
                return Err(GrantError::BadAddress);
            }
            let table = self.table_for(who, host_addr, Level::L1);
            (
                table.ok_or(GrantError::General)?,
                Level::L1.index(host_addr),
            )
        };
        let frame = self.frames.get(table.index()).filter(|frame| {
            frame.owner == Owner::Domain(who.domain)
                && frame.is_lockable()
                && frame.kind == PageType::Table(Level::L1)
        });
        frame
            .map(|_| Place {
                table,
                index,
                level: Level::L1,
                domain: who.domain,
            })
            .ok_or(GrantError::General)
    }

    fn set_granted_leaf(&mut self, who: Vcpu, op: &GrantMap, mfn: Mfn) -> Result<(), GrantError> {
        let place = self.leaf_place(who, op.host_addr, op.flags)?;
        let mut flags = PRESENT | ACCESSED | DIRTY | NX;
        if op.flags & gntmap::READONLY == 0 {
            flags |= RW;
        }
        if op.flags & gntmap::APPLICATION_MAP != 0 {
            flags |= USER;
        }
        flags |= u64::from((op.flags >> gntmap::AVAIL_SHIFT) & 7) << 9;
        let leaf = Entry::new(mfn, flags).adjusted(Level::L1);
        let old = Entry(self.frame_word(place.table, place.index));
        self.write_entry(place.table, place.index, leaf, false);
        self.put_leaf(old);
        Ok(())
    }

    fn unmap_one(&mut self, who: Vcpu, op: &GrantUnmap) -> Result<(), GrantError> {
        let table = &self.domain(who.domain).grants;
        let mapping = table.mappings.get(&op.handle).copied();
        let mut mapping = mapping.ok_or(GrantError::BadHandle)?;
        let writable = mapping.is_writable();

        if op.host_addr != 0 && mapping.active & gntmap::HOST_MAP != 0 {
            let place = self.leaf_place(who, op.host_addr, mapping.flags)?;
            let leaf = Entry(self.frame_word(place.table, place.index));
            let is_same =
                leaf.is_present() && leaf.mfn() == mapping.mfn && leaf.is_writable() == writable;
            if !is_same {
                return Err(GrantError::General);
            }
            self.write_entry(place.table, place.index, Entry(0), false);
            self.drop_granted(mapping.mfn, writable);
            mapping.active &= !gntmap::HOST_MAP;
        }
        if op.dev_bus_addr != 0 && mapping.active & gntmap::DEVICE_MAP != 0 {
            if op.dev_bus_addr != mapping.mfn.maddr() {
                return Err(GrantError::General);
            }
            self.drop_granted(mapping.mfn, writable);
            mapping.active &= !gntmap::DEVICE_MAP;
        }
        let table = &mut self.domain_mut(who.domain).grants;
        if mapping.active == 0 {
            table.mappings.remove(&op.handle);
        } else {
            table.mappings.insert(op.handle, mapping);
        }
        Ok(())
    }
}
