// SPDX-License-Identifier: GPL-2.0-only

//! The hypercalls `update_va_mapping` and `update_va_mapping_otherdomain`.

use crate::entry::{
    Entry,
    Level, //
};
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::machine::hooks::Call;
use crate::paging::access::is_guest_address;
use crate::paging::leaf::PageOwner;
use crate::paging::tlb::Flush;
use crate::paging::update::Place;
use crate::types::{
    domid,
    Errno,
    Vcpu, //
};
use crate::Machine;

/// Flags of `update_va_mapping` (`public/xen.h`, `UVMF_*`).
pub mod uvmf {
    /// No flush.
    pub const NONE: u64 = 0;
    /// Flush everything.
    pub const TLB_FLUSH: u64 = 1;
    /// Flush the page.
    pub const INVLPG: u64 = 2;
    /// On this vCPU.
    pub const LOCAL: u64 = 0;
    /// On all vCPUs.
    pub const ALL: u64 = 4;
    /// The bits that select what to flush.
    pub(crate) const WHAT: u64 = 3;
}

impl Machine {
    /// `update_va_mapping`: changes the leaf that maps `va` in the kernel's tables.
    ///
    /// `flags` are [`uvmf`]; the other bits above the low two are the guest's address of a bitmap
    /// of vCPUs.
    pub fn update_va_mapping(
        &mut self,
        who: Vcpu,
        va: u64,
        val: u64,
        flags: u64,
    ) -> Result<(), Errno> {
        self.update_va_mapping_other(who, va, val, flags, domid::SELF)
    }

    /// `update_va_mapping_otherdomain`: as [`Self::update_va_mapping`], for frames of another
    /// domain.
    pub fn update_va_mapping_other(
        &mut self,
        who: Vcpu,
        va: u64,
        val: u64,
        flags: u64,
        owner: u32,
    ) -> Result<(), Errno> {
        self.enter(who);
        let result = self
            .unit(Call::UpdateVaMapping, who, 0, 1)
            .and_then(|()| self.page_owner(who, owner))
            .and_then(|from| {
                self.may_target(who, from)?;
                self.change_leaf_of(who, va, Entry(val), from)
            })
            .and_then(|()| {
                self.stats.va_updates += 1;
                self.flush_for(who, va, flags)
            });
        self.leave();
        result
    }

    fn change_leaf_of(
        &mut self,
        who: Vcpu,
        va: u64,
        new: Entry,
        from: PageOwner,
    ) -> Result<(), Errno> {
        if !is_guest_address(va) {
            return Err(Errno::EINVAL);
        }
        let table = self.table_for(who, va, Level::L1).ok_or(Errno::EINVAL)?;
        if !self.get_page(table, Owner::Domain(who.domain)) {
            return Err(Errno::EINVAL);
        }
        let frame = self.frame(table);
        let result = if frame.is_lockable() && frame.kind == PageType::Table(Level::L1) {
            let place = Place {
                table,
                index: Level::L1.index(va),
                level: Level::L1,
                domain: who.domain,
            };
            self.stats.atomics += 2;
            self.change_entry(place, new, false, from).map(|old| {
                debug_assert!(old.is_none(), "a leaf refers to no table");
            })
        } else {
            Err(Errno::EINVAL)
        };
        self.put_page(table);
        result
    }

    fn flush_for(&mut self, who: Vcpu, va: u64, flags: u64) -> Result<(), Errno> {
        let flush = match flags & uvmf::WHAT {
            uvmf::TLB_FLUSH => Flush::All,
            uvmf::INVLPG => Flush::Page(va),
            _ => return Ok(()),
        };
        let mask = match flags & !uvmf::WHAT {
            uvmf::LOCAL => vec![who],
            uvmf::ALL => self.dirty_mask(who.domain),
            bitmap => self
                .read_bitmap(who, bitmap)
                .map(|words| self.vcpus_of(who.domain, &words))
                .ok_or(Errno::EFAULT)?,
        };
        self.flush_mask(&mask, flush);
        Ok(())
    }
}
