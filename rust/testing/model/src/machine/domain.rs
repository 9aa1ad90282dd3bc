// SPDX-License-Identifier: GPL-2.0-only

//! Domains and their vCPUs.

use crate::hypercall::grant::GrantTable;
use crate::lifecycle::start_of_day::StartOfDay;
use crate::paging::tlb::Tlb;
use crate::types::{
    Crash,
    DomainId,
    Mfn, //
};
use std::ops::Range;

/// Kind of a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The initial domain, built by Xen.
    Dom0,
    /// Any other domain, built by the toolstack.
    DomU,
}

/// The largest entries that Xen maps the p2m list of a dom0 with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListPages {
    /// 2 MiB.
    TwoMb,
    /// 1 GiB.
    OneGb,
}

/// How to build a domain.
#[derive(Clone, Debug)]
pub struct DomainConfig {
    /// Kind of the domain.
    pub kind: Kind,
    /// Number of pages at start of day.
    pub nr_pages: u64,
    /// The most pages that the domain may have; at least `nr_pages`.
    pub max_pages: u64,
    /// Number of vCPUs; the first one runs from the start.
    pub vcpus: u32,
    /// ELF note `VIRT_BASE`.
    pub virt_base: u64,
    /// Pages of the kernel image, from `virt_base` on.
    pub image_pages: u64,
    /// Pages of the initial RAM disk, which is not mapped.
    pub initrd_pages: u64,
    /// ELF note `INIT_P2M`: where the p2m list is mapped. Without it, the list is in the kernel's
    /// region.
    pub list_va: Option<u64>,
    /// The largest entries that map the list of a dom0.
    pub list_pages: ListPages,
    /// log2 of the alignment of the end of the initial region: 22 in Xen. Smaller in tests of
    /// domains that would be too small for it.
    pub region_align: u32,
    /// Bytes left free at the end of the initial region: 512 KiB in Xen.
    pub region_padding: u64,
    /// Frames of I/O memory that the domain may map, besides what every dom0 may.
    pub io_rights: Vec<Range<u64>>,
    /// Whether entries that are not present are checked against L1TF.
    pub check_l1tf: bool,
    /// Whether the writable frames of the domain are kept mapped in the IOMMU.
    pub iommu_sync: bool,
}

impl DomainConfig {
    /// Returns the usual dom0 of `nr_pages`.
    pub fn dom0(nr_pages: u64) -> Self {
        Self {
            kind: Kind::Dom0,
            nr_pages,
            max_pages: nr_pages,
            vcpus: 1,
            virt_base: 0xffff_ffff_8000_0000,
            image_pages: 16,
            initrd_pages: 0,
            list_va: Some(0x80_0000_0000),
            list_pages: ListPages::OneGb,
            region_align: 22,
            region_padding: 512 << 10,
            io_rights: Vec::new(),
            check_l1tf: false,
            iommu_sync: false,
        }
    }

    /// Returns the usual unprivileged domain of `nr_pages`.
    pub fn domu(nr_pages: u64) -> Self {
        Self {
            kind: Kind::DomU,
            check_l1tf: true,
            ..Self::dom0(nr_pages)
        }
    }

    /// Returns the configuration with a region that ends where its contents do, so that a domain
    /// of few pages can be built.
    pub fn compact(mut self) -> Self {
        self.region_align = 12;
        self.region_padding = 0;
        self
    }
}

/// VM assists (`public/xen.h`, `VMASST_TYPE_*`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Assists(pub u64);

impl Assists {
    /// Stores to tables of level 1 are emulated.
    pub const WRITABLE_PAGETABLES: u32 = 2;
    /// The machine-to-physical table is not visible through user roots.
    pub const M2P_STRICT: u32 = 32;

    /// Whether assist `number` is on.
    pub const fn has(self, number: u32) -> bool {
        (self.0 >> number) & 1 != 0
    }
}

/// Which mode a vCPU runs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Guest kernel.
    Kernel,
    /// Guest user.
    User,
}

#[derive(Debug)]
pub(crate) struct VcpuState {
    /// Whether it has been set up; only then is its CPU in the dirty mask.
    pub(crate) is_up: bool,
    pub(crate) root: Option<Mfn>,
    pub(crate) user_root: Option<Mfn>,
    pub(crate) mode: Mode,
    pub(crate) tlb: Tlb,
    /// The clock at the last full flush of the CPU.
    pub(crate) stamp: u64,
    pub(crate) ldt: (u64, u64),
    pub(crate) gdt: Vec<Mfn>,
}

impl VcpuState {
    pub(crate) fn new() -> Self {
        Self {
            is_up: false,
            root: None,
            user_root: None,
            mode: Mode::Kernel,
            tlb: Tlb::new(),
            stamp: 0,
            ldt: (0, 0),
            gdt: Vec::new(),
        }
    }
}

pub(crate) struct Domain {
    pub(crate) id: DomainId,
    pub(crate) config: DomainConfig,
    pub(crate) assists: Assists,
    /// Whether an unsafe entry has made Xen shadow the tables of the domain.
    pub(crate) is_shadowed: bool,
    pub(crate) crash: Option<Crash>,
    pub(crate) vcpus: Vec<VcpuState>,
    /// Frames that are allocated to the domain.
    pub(crate) tot_pages: u64,
    pub(crate) shared_info: Mfn,
    pub(crate) start: StartOfDay,
    pub(crate) grants: GrantTable,
}

impl Domain {
    pub(crate) fn is_privileged(&self) -> bool {
        self.config.kind == Kind::Dom0
    }

    /// Whether the domain may have entries with any kind of caching (`l1_disallow_mask()`).
    pub(crate) fn has_io_rights(&self) -> bool {
        self.is_privileged() || !self.config.io_rights.is_empty()
    }
}
