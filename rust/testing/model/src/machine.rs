// SPDX-License-Identifier: GPL-2.0-only

//! The machine as a whole: its frames and domains, and how tests look into it.

pub(crate) mod alloc;
mod check;
pub(crate) mod config;
pub(crate) mod domain;
pub(crate) mod frame;
pub(crate) mod hardware;
pub(crate) mod hooks;

use crate::lifecycle::start_of_day::StartOfDay;
use crate::machine::alloc::Heap;
use crate::machine::config::{
    contains,
    Config, //
};
use crate::machine::domain::{
    Assists,
    Domain,
    VcpuState, //
};
use crate::machine::frame::{
    Frame,
    Owner,
    INVALID_M2P, //
};
use crate::machine::hooks::Hooks;
use crate::paging::dirty_ledger::DirtyLedger;
use crate::rng::Rng;
use crate::stats::Stats;
use crate::types::{
    Crash,
    DomainId,
    Mfn,
    Vcpu, //
};
use std::collections::BTreeMap;

/// A machine with Xen and its guests.
pub struct Machine {
    pub(crate) config: Config,
    pub(crate) frames: Vec<Frame>,
    pub(crate) heap: Heap,
    pub(crate) domains: BTreeMap<DomainId, Domain>,
    /// References that Xen itself holds: all, and those for writing among them.
    pub(crate) held: BTreeMap<Mfn, (u32, u32)>,
    /// Counts the full flushes of all CPUs.
    pub(crate) clock: u64,
    pub(crate) stats: Stats,
    pub(crate) rng: Rng,
    pub(crate) hooks: Hooks,
    pub(crate) dirty_ledger: DirtyLedger,
    /// The vCPU whose hypercall or fault is being handled.
    pub(crate) current: Option<Vcpu>,
    pub(crate) in_multicall: bool,
    /// Errors found earlier, which [`Machine::check`] reports too.
    pub(crate) noted: Vec<String>,
}

impl Machine {
    /// Makes a machine without domains.
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::new(config.seed);
        let owner = |frame| {
            if frame < config.low_io || contains(&config.io, frame) {
                Owner::Io
            } else {
                Owner::Nobody
            }
        };
        let frames = (0..config.frames)
            .map(|frame| Frame::new(owner(frame)))
            .collect();
        let first_free = config.low_io + config.xen_frames;
        let is_usable = |frame| {
            frame >= first_free
                && owner(frame) == Owner::Nobody
                && !contains(&config.unusable, frame)
        };
        Self {
            heap: Heap::new(config.frames, is_usable, &mut rng),
            frames,
            domains: BTreeMap::new(),
            held: BTreeMap::new(),
            clock: 1,
            stats: Stats::default(),
            rng,
            hooks: Hooks::default(),
            dirty_ledger: DirtyLedger::default(),
            current: None,
            in_multicall: false,
            noted: Vec::new(),
            config,
        }
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the counters of work.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns a frame of the frame table.
    ///
    /// # Panics
    ///
    /// If there is no such frame.
    pub fn frame(&self, mfn: Mfn) -> &Frame {
        &self.frames[mfn.index()]
    }

    /// Whether `mfn` is in the frame table (`mfn_valid()`).
    pub fn is_valid(&self, mfn: Mfn) -> bool {
        mfn.0 < self.config.frames
    }

    /// Returns word `index` of a frame, seen from outside: no fault, no accessed bit.
    pub fn frame_word(&self, mfn: Mfn, index: usize) -> u64 {
        self.frames[mfn.index()].word(index)
    }

    /// Stores word `index` of a frame from outside, as the toolstack or a device would.
    ///
    /// # Panics
    ///
    /// If the frame is in use as a table or for descriptors.
    pub fn set_frame_word(&mut self, mfn: Mfn, index: usize, word: u64) {
        let frame = &mut self.frames[mfn.index()];
        assert!(!frame.is_protected(), "{mfn:?} is {:?}", frame.page_type());
        frame.set_word(index, word);
    }

    /// Returns the machine-to-physical word of `mfn`, or `None` where the table is not mapped.
    pub fn m2p(&self, mfn: Mfn) -> Option<u64> {
        self.frames.get(mfn.index()).map(|frame| frame.m2p)
    }

    /// Returns how many frames are free.
    pub fn nr_free(&self) -> u64 {
        self.heap.nr_free()
    }

    /// Returns the frames that `domain` owns.
    pub fn frames_of(&self, domain: DomainId) -> impl Iterator<Item = Mfn> + '_ {
        let owned = move |frame: &Frame| frame.owner == Owner::Domain(domain);
        (0..self.config.frames)
            .map(Mfn)
            .filter(move |&mfn| owned(self.frame(mfn)))
    }

    /// Returns the number of pages that are allocated to `domain`.
    pub fn tot_pages(&self, domain: DomainId) -> u64 {
        self.domain(domain).tot_pages
    }

    /// Returns what `domain` found at start of day.
    pub fn start_of_day(&self, domain: DomainId) -> &StartOfDay {
        &self.domain(domain).start
    }

    /// Returns the frame of the `shared_info` page of `domain`.
    pub fn shared_info(&self, domain: DomainId) -> Mfn {
        self.domain(domain).shared_info
    }

    /// Returns the assists that are on in `domain`.
    pub fn assists(&self, domain: DomainId) -> Assists {
        self.domain(domain).assists
    }

    /// Whether an unsafe entry has made Xen shadow the tables of `domain`.
    pub fn is_shadowed(&self, domain: DomainId) -> bool {
        self.domain(domain).is_shadowed
    }

    /// Returns why `domain` is dead, if it is.
    pub fn crash(&self, domain: DomainId) -> Option<Crash> {
        self.domain(domain).crash
    }

    /// Returns the root that `vcpu` uses in kernel mode.
    pub fn root(&self, vcpu: Vcpu) -> Option<Mfn> {
        self.vcpu(vcpu).root
    }

    /// Returns the root that `vcpu` uses in user mode.
    pub fn user_root(&self, vcpu: Vcpu) -> Option<Mfn> {
        self.vcpu(vcpu).user_root
    }

    /// Returns the LDT of `vcpu`: its address and number of entries.
    pub fn ldt(&self, vcpu: Vcpu) -> (u64, u64) {
        self.vcpu(vcpu).ldt
    }

    pub(crate) fn domain(&self, id: DomainId) -> &Domain {
        self.domains
            .get(&id)
            .unwrap_or_else(|| panic!("there is no {id:?}"))
    }

    pub(crate) fn domain_mut(&mut self, id: DomainId) -> &mut Domain {
        self.domains
            .get_mut(&id)
            .unwrap_or_else(|| panic!("there is no {id:?}"))
    }

    pub(crate) fn vcpu(&self, vcpu: Vcpu) -> &VcpuState {
        &self.domain(vcpu.domain).vcpus[vcpu.index as usize]
    }

    pub(crate) fn vcpu_mut(&mut self, vcpu: Vcpu) -> &mut VcpuState {
        &mut self.domain_mut(vcpu.domain).vcpus[vcpu.index as usize]
    }

    /// Returns the vCPUs of all domains that are up.
    pub(crate) fn all_vcpus(&self) -> Vec<Vcpu> {
        let domains = self.domains.keys();
        domains.flat_map(|&id| self.dirty_mask(id)).collect()
    }

    /// Returns the domain that owns `mfn`, if one does.
    pub(crate) fn owner_of(&self, mfn: Mfn) -> Option<DomainId> {
        match self.frames.get(mfn.index())?.owner {
            Owner::Domain(id) => Some(id),
            Owner::Nobody | Owner::Io => None,
        }
    }

    /// Allocates frames to `domain`.
    pub(crate) fn allocate(&mut self, domain: DomainId, order: u32, limit: u64) -> Option<Mfn> {
        let size = 1u64 << order;
        if self.domain(domain).tot_pages + size > self.domain(domain).config.max_pages {
            return None;
        }
        let first = self.heap.take_block(order, limit)?;
        for frame in first.0..first.0 + size {
            self.claim(Mfn(frame), domain);
        }
        self.domain_mut(domain).tot_pages += size;
        Some(first)
    }

    fn claim(&mut self, mfn: Mfn, domain: DomainId) {
        let frame = &mut self.frames[mfn.index()];
        let fresh = Frame::new(Owner::Domain(domain));
        let stamp = frame.stamp;
        *frame = Frame {
            allocated: true,
            count: 1,
            stamp,
            ..fresh
        };
        // Xen flushes what the previous owner may still have cached.
        let previous: Vec<DomainId> = self.domains.keys().copied().collect();
        for id in previous {
            if self.dirty_mask(id).iter().any(|&v| self.caches(v, mfn)) {
                self.flush_since(id, stamp);
            }
        }
    }

    fn caches(&self, vcpu: Vcpu, mfn: Mfn) -> bool {
        self.vcpu(vcpu).tlb.iter().any(|(_, t)| t.mfn == mfn)
    }

    /// Returns a frame without references to the heap.
    pub(crate) fn free(&mut self, mfn: Mfn) {
        let clock = self.clock;
        let frame = &mut self.frames[mfn.index()];
        assert_eq!((frame.count, frame.type_count), (0, 0), "{mfn:?} is in use");
        let owner = frame.owner;
        *frame = Frame::new(Owner::Nobody);
        frame.stamp = clock;
        self.dirty_ledger.forget(mfn);
        debug_assert_eq!(self.frames[mfn.index()].m2p, INVALID_M2P);
        if let Owner::Domain(id) = owner {
            self.domain_mut(id).tot_pages -= 1;
        }
        self.heap.give_back(mfn);
    }
}
