// SPDX-License-Identifier: GPL-2.0-only

//! The commands of the hypercall `memory_op` that a guest's memory management uses.

use crate::machine::config::{
    MemoryKind,
    MemoryRange, //
};
use crate::machine::domain::Kind;
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::machine::hooks::Call;
use crate::paging::access::{
    M2P_END,
    XEN_START, //
};
use crate::types::{
    DomainId,
    Errno,
    Mfn,
    Vcpu,
    PAGE_SHIFT,
    PAGE_SIZE, //
};
use crate::Machine;

/// The largest frame number that is reported to a domU.
const MAX_MFN_DOMU: u64 = (1 << 35) - 1;

/// The result of `XENMEM_machphys_mapping`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MachphysMapping {
    /// Where the machine-to-physical table begins.
    pub v_start: u64,
    /// Where it ends.
    pub v_end: u64,
    /// The largest frame number.
    pub max_mfn: u64,
}

/// Result of an exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an exchange can fail"]
pub struct ExchangeOutcome {
    /// The error of the first chunk that failed.
    pub result: Result<(), Errno>,
    /// How many of the caller's extents were exchanged.
    pub nr_exchanged: u64,
}

impl Machine {
    /// `XENMEM_machphys_mapping`.
    pub fn machphys_mapping(&mut self, who: Vcpu) -> Result<MachphysMapping, Errno> {
        self.simple_call(who, Call::MachphysMapping, |machine| {
            let max_mfn = match machine.domain(who.domain).config.kind {
                Kind::Dom0 => machine.config.frames - 1,
                Kind::DomU => MAX_MFN_DOMU,
            };
            Ok(MachphysMapping {
                v_start: XEN_START,
                v_end: M2P_END,
                max_mfn,
            })
        })
    }

    /// `XENMEM_populate_physmap`: allocates memory for the pages in `extents`, and replaces these
    /// by machine frames. Returns how many extents were done.
    pub fn populate_physmap(
        &mut self,
        who: Vcpu,
        extents: &mut [u64],
        order: u32,
        address_bits: u32,
    ) -> u64 {
        self.enter(who);
        let count = extents.len();
        let mut done = 0;
        if order <= self.max_order(who.domain) {
            for (index, extent) in extents.iter_mut().enumerate() {
                if self.unit(Call::Populate, who, index, count).is_err() {
                    break;
                }
                let limit = frame_limit(address_bits);
                let Some(first) = self.allocate(who.domain, order, limit) else {
                    break;
                };
                self.place(first, *extent, order);
                *extent = first.0;
                done += 1;
            }
        }
        self.leave();
        done
    }

    /// `XENMEM_decrease_reservation`: gives back the frames in `extents`. Returns how many extents
    /// were done.
    pub fn decrease_reservation(&mut self, who: Vcpu, extents: &[u64], order: u32) -> u64 {
        self.enter(who);
        let mut done = 0;
        if order <= self.max_order(who.domain) {
            for (index, &first) in extents.iter().enumerate() {
                let unit = self.unit(Call::Decrease, who, index, extents.len());
                let frames = first..first.saturating_add(1 << order);
                let mut frames = frames.map(Mfn);
                if unit.is_err() || !frames.all(|mfn| self.drop_allocation(mfn, who.domain)) {
                    break;
                }
                done += 1;
            }
        }
        self.leave();
        done
    }

    /// `XENMEM_exchange`: exchanges the extents in `given` for new memory at the pages in `wanted`,
    /// and replaces these by machine frames.
    pub fn exchange(
        &mut self,
        who: Vcpu,
        (given, order_in): (&[u64], u32),
        (wanted, order_out): (&mut [u64], u32),
        address_bits: u32,
    ) -> ExchangeOutcome {
        self.enter(who);
        let mut nr_exchanged = 0;
        let largest = self.max_order(who.domain);
        let result = if order_in > largest || order_out > largest {
            Err(Errno::EPERM)
        } else if given.len() << order_in != wanted.len() << order_out {
            Err(Errno::EINVAL)
        } else {
            let order = order_in.max(order_out);
            let per_in = 1usize << (order - order_in);
            let per_out = 1usize << (order - order_out);
            let chunks = given
                .chunks_exact(per_in)
                .zip(wanted.chunks_exact_mut(per_out));
            let count = chunks.len();
            let limit = frame_limit(address_bits);
            let mut result = Ok(());
            for (index, (given, wanted)) in chunks.enumerate() {
                result = self.unit(Call::Exchange, who, index, count).and_then(|()| {
                    self.exchange_chunk(who, given, order_in, wanted, order_out, limit)
                });
                if result.is_err() {
                    break;
                }
                nr_exchanged += per_in as u64;
            }
            result
        };
        self.leave();
        ExchangeOutcome {
            result,
            nr_exchanged,
        }
    }

    fn exchange_chunk(
        &mut self,
        who: Vcpu,
        given: &[u64],
        order_in: u32,
        wanted: &mut [u64],
        order_out: u32,
        limit: u64,
    ) -> Result<(), Errno> {
        let expand = |first: u64| (first..first.saturating_add(1 << order_in)).map(Mfn);
        let given: Vec<Mfn> = given.iter().copied().flat_map(expand).collect();

        for (nr_stolen, &mfn) in given.iter().enumerate() {
            if !self.can_steal(mfn, who.domain) || given[..nr_stolen].contains(&mfn) {
                return Err(Errno::EINVAL);
            }
        }
        // The domain may own both for a moment.
        let nr_given = given.len() as u64;
        self.domain_mut(who.domain).config.max_pages += nr_given;
        let taken: Vec<Option<Mfn>> = wanted
            .iter()
            .map(|_| self.allocate(who.domain, order_out, limit))
            .collect();
        self.domain_mut(who.domain).config.max_pages -= nr_given;

        if taken.contains(&None) {
            for first in taken.into_iter().flatten() {
                for frame in first.0..first.0 + (1 << order_out) {
                    self.drop_allocation(Mfn(frame), who.domain);
                }
            }
            return Err(Errno::ENOMEM);
        }
        for mfn in given {
            self.drop_allocation(mfn, who.domain);
        }
        for (page, first) in wanted.iter_mut().zip(taken.into_iter().flatten()) {
            self.place(first, *page, order_out);
            *page = first.0;
        }
        Ok(())
    }

    /// Whether the allocation is the only reason to keep a frame (`steal_page()`).
    fn can_steal(&self, mfn: Mfn, domain: DomainId) -> bool {
        let frame = self.frames.get(mfn.index());
        frame.is_some_and(|frame| {
            frame.owner == Owner::Domain(domain)
                && frame.allocated
                && frame.count == 1
                && !frame.special
        })
    }

    /// Drops the reference of the allocation (`guest_remove_page()`).
    fn drop_allocation(&mut self, mfn: Mfn, domain: DomainId) -> bool {
        if !self.get_page(mfn, Owner::Domain(domain)) {
            return false;
        }
        if std::mem::take(&mut self.frames[mfn.index()].allocated) {
            self.put_page(mfn);
        }
        self.put_page(mfn);
        true
    }

    /// Records in the machine-to-physical table which pages the new frames are.
    fn place(&mut self, first: Mfn, page: u64, order: u32) {
        let owner = self.owner_of(first);
        let is_synced = owner.is_some_and(|id| self.domain(id).config.iommu_sync);
        for offset in 0..1 << order {
            let mfn = Mfn(first.0 + offset);
            if is_synced {
                self.get_type(mfn, PageType::Writable)
                    .expect("a new frame has no type");
                self.put_type(mfn);
            }
            self.frames[mfn.index()].m2p = page + offset;
        }
    }

    fn max_order(&self, domain: DomainId) -> u32 {
        match self.domain(domain).config.kind {
            Kind::Dom0 => 18,
            Kind::DomU => 9,
        }
    }

    /// `XENMEM_memory_map`: the map that the toolstack made.
    pub fn memory_map(&mut self, who: Vcpu) -> Result<Vec<MemoryRange>, Errno> {
        self.simple_call(who, Call::MemoryMap, |machine| {
            let config = &machine.domain(who.domain).config;
            match config.kind {
                Kind::Dom0 => Err(Errno::ENOSYS),
                Kind::DomU => Ok(vec![MemoryRange {
                    start: 0,
                    size: config.max_pages * PAGE_SIZE,
                    kind: MemoryKind::Ram,
                }]),
            }
        })
    }

    /// `XENMEM_machine_memory_map`, with room for `room` ranges.
    pub fn machine_memory_map(
        &mut self,
        who: Vcpu,
        room: usize,
    ) -> Result<Vec<MemoryRange>, Errno> {
        self.simple_call(who, Call::MemoryMap, |machine| {
            if !machine.domain(who.domain).is_privileged() {
                return Err(Errno::EPERM);
            }
            let map = machine.config.machine_memory_map();
            if room < map.len() + 1 {
                return Err(Errno::EINVAL);
            }
            let map = machine.with_forbidden_gaps(who.domain, &map);
            if room < map.len() {
                return Err(Errno::EINVAL);
            }
            Ok(map)
        })
    }

    /// Adds reserved ranges for what `domain` may not map between the ranges of `map`.
    fn with_forbidden_gaps(&self, domain: DomainId, map: &[MemoryRange]) -> Vec<MemoryRange> {
        let mut gaps = self.config.forbidden_io.clone();
        gaps.retain(|gap| {
            let (start, end) = (gap.start << PAGE_SHIFT, gap.end << PAGE_SHIFT);
            let is_free =
                |range: &MemoryRange| range.start + range.size <= start || range.start >= end;
            !self.may_map_io(domain, Mfn(gap.start)) && map.iter().all(is_free)
        });
        let reserved = gaps.into_iter().map(|gap| MemoryRange {
            start: gap.start << PAGE_SHIFT,
            size: (gap.end - gap.start) << PAGE_SHIFT,
            kind: MemoryKind::Reserved,
        });
        let mut map: Vec<MemoryRange> = map.iter().copied().chain(reserved).collect();
        map.sort_by_key(|range| range.start);
        map
    }

    /// `XENMEM_maximum_ram_page`.
    pub fn maximum_ram_page(&self) -> u64 {
        self.config.frames
    }

    /// `XENMEM_maximum_reservation` of the caller.
    pub fn maximum_reservation(&self, who: Vcpu) -> u64 {
        self.domain(who.domain).config.max_pages
    }

    /// Runs a hypercall of one unit.
    pub(crate) fn simple_call<T>(
        &mut self,
        who: Vcpu,
        call: Call,
        run: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        self.enter(who);
        let result = self.unit(call, who, 0, 1).and_then(|()| run(self));
        self.leave();
        result
    }
}

/// Returns the first frame number that needs more than `bits` bits of address; 0 stands for any.
fn frame_limit(bits: u32) -> u64 {
    match bits {
        0 | 64.. => u64::MAX,
        bits => 1 << bits.saturating_sub(PAGE_SHIFT),
    }
}
