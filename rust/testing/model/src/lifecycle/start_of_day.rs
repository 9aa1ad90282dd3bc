// SPDX-License-Identifier: GPL-2.0-only

//! Domains before their first instruction runs.

mod dom0;
mod domu;
mod layout;
mod tables;
#[cfg(test)]
mod tests;

use crate::hypercall::grant::GrantTable;
use crate::machine::domain::{
    Assists,
    Domain,
    DomainConfig,
    Kind,
    VcpuState, //
};
use crate::machine::frame::{
    Frame,
    Owner,
    PageType, //
};
use crate::stats::Stats;
use crate::types::{
    DomainId,
    Mfn,
    Pfn, //
};
use crate::Machine;
use layout::Region;
use std::fmt;

/// Flags of `start_info` (`public/xen.h`, `SIF_*`).
pub mod sif {
    /// The domain is privileged.
    pub const PRIVILEGED: u64 = 1;
    /// The domain is the initial one.
    pub const INITDOMAIN: u64 = 2;
    /// `mod_start` is a frame number, and the module is not mapped.
    pub const MOD_START_PFN: u64 = 8;
}

/// What a domain finds at start of day: `start_info` and what it refers to.
#[derive(Clone, Debug)]
pub struct StartOfDay {
    /// `nr_pages`.
    pub nr_pages: u64,
    /// `shared_info`, a machine address.
    pub shared_info: u64,
    /// `flags`.
    pub flags: u64,
    /// `store_mfn`, or 0.
    pub store_mfn: u64,
    /// `console.domU.mfn`, or 0.
    pub console_mfn: u64,
    /// `pt_base`.
    pub pt_base: u64,
    /// `nr_pt_frames`.
    pub nr_pt_frames: u64,
    /// `mfn_list`.
    pub mfn_list: u64,
    /// `mod_start`.
    pub mod_start: u64,
    /// `mod_len`.
    pub mod_len: u64,
    /// `first_p2m_pfn`.
    pub first_p2m_pfn: u64,
    /// `nr_p2m_frames`.
    pub nr_p2m_frames: u64,
    /// Address of `start_info`.
    pub start_info: u64,
    /// Address of the boot stack's page.
    pub stack: u64,
    /// Where the initial region ends.
    pub region_end: u64,
    /// The root table.
    pub root: Mfn,
    /// The frame of each page, in the order of their numbers.
    pub frames: Vec<Mfn>,
}

/// Why a domain cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuildError {
    /// It has too few pages; the part that failed needs at least this many.
    TooSmall(u64),
    /// The machine has too few free frames, or too few contiguous ones.
    NoMemory,
    /// The p2m list would overlap the initial region.
    Overlap,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::TooSmall(pages) => write!(f, "the domain needs at least {pages} pages"),
            BuildError::NoMemory => f.write_str("the machine is too small"),
            BuildError::Overlap => f.write_str("the p2m list overlaps the initial region"),
        }
    }
}

impl std::error::Error for BuildError {}

/// What the builder of either kind hands to the steps that both share.
pub(crate) struct Built {
    frames: Vec<Mfn>,
    root: Mfn,
    /// The frames of the p2m list in the order of their addresses.
    list: Vec<Mfn>,
    list_va: u64,
    first_p2m_pfn: u64,
    nr_p2m_frames: u64,
    initrd: Pfn,
}

impl Machine {
    /// Builds a domain; its first vCPU is up, in its kernel, with the initial tables loaded.
    ///
    /// The first domain gets number 0, of either kind.
    pub fn create_domain(&mut self, config: DomainConfig) -> Result<DomainId, BuildError> {
        let id = DomainId(self.domains.keys().last().map_or(0, |id| id.0 + 1));
        let region = Region::new(&config);
        let (stats, kind) = (self.stats, config.kind);

        let shared_info = self.heap.take(u64::MAX).ok_or(BuildError::NoMemory)?;
        self.share_with_guest(shared_info, id);
        self.domains
            .insert(id, Domain::new(id, config, shared_info));
        let built = match kind {
            Kind::Dom0 => self.build_dom0(id, &region),
            Kind::DomU => self.build_domu(id, &region),
        };
        match built {
            Ok(built) => {
                self.finish(id, &region, built);
                self.stats = Stats { ..stats };
                Ok(id)
            }
            Err(error) => {
                self.abandon(id);
                self.stats = stats;
                Err(error)
            }
        }
    }

    /// Shares a frame of Xen with a domain (`share_xen_page_with_guest()`).
    pub(crate) fn share_with_guest(&mut self, mfn: Mfn, domain: DomainId) {
        self.frames[mfn.index()] = Frame {
            special: true,
            count: 1,
            kind: PageType::Writable,
            type_count: 1,
            validated: true,
            ..Frame::new(Owner::Domain(domain))
        };
        self.frames[mfn.index()].fill(0);
        self.held.insert(mfn, (1, 1));
    }

    fn finish(&mut self, id: DomainId, region: &Region, built: Built) {
        for (pfn, mfn) in built.frames.iter().enumerate() {
            self.frames[mfn.index()].m2p = pfn as u64;
            let word = pfn % 512;
            self.frames[built.list[pfn / 512].index()].set_word(word, mfn.0);
        }
        let config = &self.domain(id).config;
        let is_dom0 = config.kind == Kind::Dom0;
        let initrd_pages = config.initrd_pages;
        let mut flags = 0;
        if is_dom0 {
            flags |= sif::PRIVILEGED | sif::INITDOMAIN;
        }
        if initrd_pages > 0 {
            flags |= sif::MOD_START_PFN;
        }
        let mfn_at = |va: Option<u64>| va.map_or(0, |va| built.frames[region.pfn(va)].0);
        let start = StartOfDay {
            nr_pages: built.frames.len() as u64,
            shared_info: self.domain(id).shared_info.maddr(),
            flags,
            store_mfn: mfn_at(region.xenstore),
            console_mfn: mfn_at(region.console),
            pt_base: region.tables,
            nr_pt_frames: region.nr_tables,
            mfn_list: built.list_va,
            mod_start: if initrd_pages > 0 { built.initrd.0 } else { 0 },
            mod_len: initrd_pages * 4096,
            first_p2m_pfn: built.first_p2m_pfn,
            nr_p2m_frames: built.nr_p2m_frames,
            start_info: region.start_info,
            stack: region.stack,
            region_end: region.end,
            root: built.root,
            frames: built.frames,
        };
        self.write_start_info(&start, start.frames[region.pfn(region.start_info)]);
        let state = self.domain_mut(id);
        state.start = start;
        state.vcpus[0].is_up = true;
        state.vcpus[0].root = Some(built.root);
    }

    /// Stores `struct start_info` as the public interface lays it out.
    pub(crate) fn write_start_info(&mut self, start: &StartOfDay, page: Mfn) {
        let frame = &mut self.frames[page.index()];
        frame.fill(0);
        let mut magic = *b"xen-3.0-x86_64\0\0";
        let (low, high) = magic.split_at_mut(8);
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |w, &b| (w << 8) | u64::from(b));
        let words = [
            (0, word(low)),
            (1, word(high)),
            (4, start.nr_pages),
            (5, start.shared_info),
            (6, start.flags),
            (7, start.store_mfn),
            (9, start.console_mfn),
            (11, start.pt_base),
            (12, start.nr_pt_frames),
            (13, start.mfn_list),
            (14, start.mod_start),
            (15, start.mod_len),
            // After a command line of 1024 bytes.
            (144, start.first_p2m_pfn),
            (145, start.nr_p2m_frames),
        ];
        for (index, word) in words {
            frame.set_word(index, word);
        }
    }

    /// Frees everything of a domain that could not be built.
    fn abandon(&mut self, id: DomainId) {
        let frames: Vec<Mfn> = self.frames_of(id).collect();
        for mfn in frames {
            self.held.remove(&mfn);
            let frame = &mut self.frames[mfn.index()];
            *frame = Frame::new(Owner::Nobody);
            self.heap.give_back(mfn);
        }
        self.domains.remove(&id);
    }
}

impl Domain {
    fn new(id: DomainId, config: DomainConfig, shared_info: Mfn) -> Self {
        let start = StartOfDay {
            nr_pages: 0,
            shared_info: 0,
            flags: 0,
            store_mfn: 0,
            console_mfn: 0,
            pt_base: 0,
            nr_pt_frames: 0,
            mfn_list: 0,
            mod_start: 0,
            mod_len: 0,
            first_p2m_pfn: 0,
            nr_p2m_frames: 0,
            start_info: 0,
            stack: 0,
            region_end: 0,
            root: Mfn(0),
            frames: Vec::new(),
        };
        Self {
            id,
            vcpus: (0..config.vcpus).map(|_| VcpuState::new()).collect(),
            config,
            assists: Assists::default(),
            is_shadowed: false,
            crash: None,
            tot_pages: 0,
            shared_info,
            start,
            grants: GrantTable::default(),
        }
    }
}
