// SPDX-License-Identifier: GPL-2.0-only

//! The hypercall `mmu_update`.

use crate::entry::Entry;
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::machine::hooks::Call;
use crate::paging::leaf::PageOwner;
use crate::paging::tlb::Flush;
use crate::paging::update::{
    OldTable,
    Place, //
};
use crate::types::{
    domid,
    DomainId,
    Errno,
    Mfn,
    UpdateOutcome,
    Vcpu,
    PAGE_SIZE, //
};
use crate::Machine;

/// The low bits of an address that hold the command.
const COMMAND: u64 = 7;

/// An element of `mmu_update`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MmuUpdate {
    /// Machine address of the entry, with the command in its low three bits.
    pub ptr: u64,
    /// The new entry.
    pub val: u64,
}

impl MmuUpdate {
    /// Command `MMU_NORMAL_PT_UPDATE`.
    pub const NORMAL: u64 = 0;
    /// Command `MMU_MACHPHYS_UPDATE`.
    pub const MACHPHYS: u64 = 1;
    /// Command `MMU_PT_UPDATE_PRESERVE_AD`.
    pub const PRESERVE_AD: u64 = 2;
    /// Command `MMU_PT_UPDATE_NO_TRANSLATE`.
    pub const NO_TRANSLATE: u64 = 3;

    /// Stores `val` at machine address `maddr`.
    pub const fn normal(maddr: u64, val: u64) -> Self {
        Self { ptr: maddr, val }
    }

    /// Stores `val` at machine address `maddr`, and keeps accessed and dirty bits set there.
    pub const fn preserve_ad(maddr: u64, val: u64) -> Self {
        Self {
            ptr: maddr | Self::PRESERVE_AD,
            val,
        }
    }

    /// Sets the word of `mfn` in the machine-to-physical table to `pfn`.
    pub const fn machphys(mfn: Mfn, pfn: u64) -> Self {
        Self {
            ptr: mfn.maddr() | Self::MACHPHYS,
            val: pfn,
        }
    }
}

/// Work that an element leaves for later.
struct Done {
    /// Whether it changed a table above level 1, so that TLBs are flushed.
    is_upper: bool,
    old: Option<OldTable>,
}

impl Done {
    const PLAIN: Self = Self {
        is_upper: false,
        old: None,
    };
}

impl Machine {
    /// `mmu_update` with an array that Xen can read.
    ///
    /// `foreigndom` holds the owner of the frames mapped, and 1 more than that of the tables
    /// unless they are the caller's.
    pub fn mmu_update(
        &mut self,
        who: Vcpu,
        updates: &[MmuUpdate],
        foreigndom: u32,
    ) -> UpdateOutcome {
        self.mmu_update_from(
            who,
            updates.len(),
            foreigndom,
            |_, index| Ok(updates[index]),
        )
    }

    /// `mmu_update` with a single element of an own table.
    pub fn mmu_update_one(&mut self, who: Vcpu, update: MmuUpdate) -> Result<(), Errno> {
        self.mmu_update(who, &[update], domid::SELF).result
    }

    /// `mmu_update` with elements that `fetch` reads one at a time.
    pub(crate) fn mmu_update_from(
        &mut self,
        who: Vcpu,
        count: usize,
        foreigndom: u32,
        mut fetch: impl FnMut(&mut Self, usize) -> Result<MmuUpdate, Errno>,
    ) -> UpdateOutcome {
        self.enter(who);
        let mut done = 0;
        let result = self.domains_of(who, foreigndom).and_then(|(tables, from)| {
            let mut flush = false;
            let mut result = Ok(());
            while (done as usize) < count {
                let index = done as usize;
                let element = self
                    .fetch_unit(Call::MmuUpdate, who, index, count, &mut fetch)
                    .and_then(|update| self.mmu_update_element(who, update, tables, from));
                match element {
                    Ok(Done { is_upper, old }) => {
                        flush |= is_upper;
                        done += 1;
                        self.stats.mmu_updates += 1;
                        if let Some(old) = old {
                            self.flush_upper(tables, std::mem::take(&mut flush));
                            self.enter_again(who);
                            self.release_table(old);
                        }
                    }
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
            }
            self.flush_upper(tables, flush);
            result
        });
        self.leave();
        UpdateOutcome { result, done }
    }

    /// Starts a unit and reads its element.
    pub(crate) fn fetch_unit<T>(
        &mut self,
        call: Call,
        who: Vcpu,
        index: usize,
        count: usize,
        fetch: &mut impl FnMut(&mut Self, usize) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        self.unit(call, who, index, count)?;
        fetch(self, index)
    }

    /// Returns the owners of the tables and of the frames that a call is about.
    fn domains_of(&self, who: Vcpu, foreigndom: u32) -> Result<(DomainId, PageOwner), Errno> {
        let tables = match (foreigndom >> 16) as u16 {
            0 => who.domain,
            id => DomainId(id - 1),
        };
        if !self.domains.contains_key(&tables) {
            return Err(Errno::ESRCH);
        }
        Ok((tables, self.page_owner(who, foreigndom & 0xffff)?))
    }

    /// Returns the domain whose frames `id` names (`get_pg_owner()`).
    pub(crate) fn page_owner(&self, who: Vcpu, id: u32) -> Result<PageOwner, Errno> {
        match id {
            domid::SELF => Ok(PageOwner::Domain(who.domain)),
            domid::IO => Ok(PageOwner::Io),
            domid::XEN => Ok(PageOwner::Xen),
            id => {
                let id = DomainId(id as u16);
                let is_other = id != who.domain && self.domains.contains_key(&id);
                is_other
                    .then_some(PageOwner::Domain(id))
                    .ok_or(Errno::ESRCH)
            }
        }
    }

    /// Whether `who` may act on `target` (`XSM_TARGET`).
    pub(crate) fn may_target(&self, who: Vcpu, target: PageOwner) -> Result<(), Errno> {
        let is_allowed = target == PageOwner::Domain(who.domain)
            || target == PageOwner::Io
            || self.domain(who.domain).is_privileged();
        is_allowed.then_some(()).ok_or(Errno::EPERM)
    }

    fn mmu_update_element(
        &mut self,
        who: Vcpu,
        update: MmuUpdate,
        tables: DomainId,
        from: PageOwner,
    ) -> Result<Done, Errno> {
        match update.ptr & COMMAND {
            command @ (MmuUpdate::NORMAL | MmuUpdate::PRESERVE_AD | MmuUpdate::NO_TRANSLATE) => {
                self.may_target(who, from)?;
                self.may_target(who, PageOwner::Domain(tables))?;
                let preserve_ad = command == MmuUpdate::PRESERVE_AD;
                self.update_word(update, preserve_ad, tables, from)
            }
            MmuUpdate::MACHPHYS => {
                if tables != who.domain {
                    return Err(Errno::EPERM);
                }
                self.may_target(who, from)?;
                let mfn = Mfn::of(update.ptr);
                if !self.get_page(mfn, from.owner()) {
                    return Err(Errno::EINVAL);
                }
                self.frames[mfn.index()].m2p = update.val;
                self.put_page(mfn);
                Ok(Done::PLAIN)
            }
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Changes a word of memory in the way that the type of its frame requires.
    fn update_word(
        &mut self,
        update: MmuUpdate,
        preserve_ad: bool,
        tables: DomainId,
        from: PageOwner,
    ) -> Result<Done, Errno> {
        let table = Mfn::of(update.ptr);
        let index = (update.ptr % PAGE_SIZE / 8) as usize;
        if !self.get_page(table, Owner::Domain(tables)) {
            return Err(Errno::EINVAL);
        }
        let frame = self.frame(table);
        let result = match (frame.is_lockable(), frame.kind) {
            (true, PageType::Table(level)) => {
                let is_upper = level.number() > 1;
                if is_upper && from != PageOwner::Domain(tables) {
                    Err(Errno::EINVAL)
                } else {
                    let place = Place {
                        table,
                        index,
                        level,
                        domain: tables,
                    };
                    self.stats.atomics += 2;
                    self.change_entry(place, Entry(update.val), preserve_ad, from)
                        .map(|old| Done { is_upper, old })
                }
            }
            (true, PageType::Writable) => {
                self.write_entry(table, index, Entry(update.val), false);
                Ok(Done::PLAIN)
            }
            (true, PageType::None | PageType::SegDesc) => Err(Errno::EINVAL),
            (false, _) => self
                .get_type(table, PageType::Writable)
                .map(|()| {
                    self.write_entry(table, index, Entry(update.val), false);
                    self.put_type(table);
                    Done::PLAIN
                })
                .map_err(|_| Errno::EINVAL),
        };
        self.put_page(table);
        result
    }

    /// Flushes the CPUs that may have cached a changed upper entry of `domain`.
    fn flush_upper(&mut self, domain: DomainId, is_needed: bool) {
        if is_needed {
            let mask = self.dirty_mask(domain);
            self.flush_mask(&mask, Flush::All);
        }
    }
}
