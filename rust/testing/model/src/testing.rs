// SPDX-License-Identifier: GPL-2.0-only

//! A guest at start of day with spare pages and leaves, for tests.

use crate::entry::{
    ACCESSED,
    DIRTY,
    PRESENT,
    RW,
    USER, //
};
use crate::{
    domid,
    Config,
    DomainConfig,
    DomainId,
    Entry,
    Errno,
    Level,
    Machine,
    Mfn,
    MmuExtOp,
    MmuUpdate,
    Vcpu, //
};
use std::ops::{
    Deref,
    DerefMut, //
};

/// Flags of a writable leaf of the kernel.
pub(crate) const KERNEL_RW: u64 = PRESENT | RW | ACCESSED | DIRTY;
/// Flags of a read-only leaf of the kernel.
pub(crate) const KERNEL_RO: u64 = PRESENT | ACCESSED;
/// Flags of a writable leaf of user space.
pub(crate) const USER_RW: u64 = PRESENT | RW | USER;
/// Flags of a read-only leaf of user space.
pub(crate) const USER_RO: u64 = PRESENT | USER;
/// Flags of an entry that refers to a table.
pub(crate) const TABLE: u64 = PRESENT | RW | USER | ACCESSED | DIRTY;

/// The first leaf of the initial region that maps nothing.
const FREE_LEAF: usize = 256;

/// Pages at the end of the guest that neither the image nor the p2m list uses.
const SPARE_PAGES: usize = 400;

const FRAMES: u64 = 8192;

/// A machine and a guest in it. It is checked when it is dropped.
pub(crate) struct Guest {
    pub(crate) machine: Machine,
    pub(crate) domain: DomainId,
    pub(crate) who: Vcpu,
    /// The next page that nothing uses.
    next: usize,
}

/// Tables of one path, the root first, and the address of the first leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) tables: [Mfn; 4],
}

impl Path {
    pub(crate) fn root(&self) -> Mfn {
        self.tables[0]
    }

    pub(crate) fn leaves(&self) -> Mfn {
        self.tables[3]
    }
}

impl Guest {
    pub(crate) fn new(config: DomainConfig) -> Self {
        Self::on(Config::new(FRAMES, 1), config)
    }

    /// Builds the guest on a machine of its own.
    pub(crate) fn on(machine: Config, config: DomainConfig) -> Self {
        let next = config.nr_pages as usize - SPARE_PAGES;
        let mut machine = Machine::new(machine);
        let domain = machine.create_domain(config).expect("the guest fits");
        Self {
            machine,
            domain,
            who: domain.vcpu(0),
            next,
        }
    }

    pub(crate) fn dom0() -> Self {
        Self::new(DomainConfig::dom0(600).compact())
    }

    pub(crate) fn domu() -> Self {
        Self::new(DomainConfig::domu(600).compact())
    }

    /// A guest with a second vCPU that is up.
    pub(crate) fn with_two_vcpus() -> Self {
        let mut config = DomainConfig::domu(600).compact();
        config.vcpus = 2;
        let mut guest = Self::new(config);
        let root = guest.start_of_day(guest.domain).root;
        let other = guest.other();
        guest.machine.vcpu_up(other, root).unwrap();
        guest
    }

    pub(crate) fn other(&self) -> Vcpu {
        self.domain.vcpu(1)
    }

    /// Returns a frame of the guest that nothing maps.
    pub(crate) fn page(&mut self) -> Mfn {
        let mfn = self.machine.start_of_day(self.domain).frames[self.next];
        self.next += 1;
        mfn
    }

    /// Returns a new table with these entries, not known to Xen and mapped nowhere.
    pub(crate) fn table(&mut self, entries: &[(usize, Entry)]) -> Mfn {
        let table = self.page();
        for index in 0..512 {
            self.set_frame_word(table, index, 0);
        }
        for &(index, entry) in entries {
            self.set_frame_word(table, index, entry.0);
        }
        table
    }

    /// Returns a new root, and one table of each level below it; `leaves` go into the last.
    pub(crate) fn path(&mut self, leaves: &[(usize, Entry)]) -> Path {
        let l1 = self.table(leaves);
        let l2 = self.table(&[(0, Entry::new(l1, TABLE))]);
        let l3 = self.table(&[(0, Entry::new(l2, TABLE))]);
        let l4 = self.table(&[(0, Entry::new(l3, TABLE))]);
        Path {
            tables: [l4, l3, l2, l1],
        }
    }

    /// Returns the address of the initial region's free leaf `number`.
    pub(crate) fn va(&self, number: usize) -> u64 {
        DomainConfig::dom0(0).virt_base + ((FREE_LEAF + number) as u64) * 4096
    }

    /// Returns the machine address of the initial region's free leaf `number`.
    pub(crate) fn leaf(&self, number: usize) -> u64 {
        let va = self.va(number);
        let table = self
            .table_for(self.who, va, Level::L1)
            .expect("the region has leaves");
        table.word(Level::L1.index(va))
    }

    /// Returns the entry at a machine address.
    pub(crate) fn entry_at(&self, maddr: u64) -> Entry {
        Entry(self.frame_word(Mfn::of(maddr), (maddr % 4096 / 8) as usize))
    }

    /// Sets free leaf `number`.
    pub(crate) fn map(&mut self, number: usize, mfn: Mfn, flags: u64) -> Result<(), Errno> {
        let at = self.leaf(number);
        self.update(at, Entry::new(mfn, flags).0)
    }

    pub(crate) fn update(&mut self, maddr: u64, val: u64) -> Result<(), Errno> {
        let who = self.who;
        self.mmu_update_one(who, MmuUpdate::normal(maddr, val))
    }

    pub(crate) fn ext(&mut self, op: MmuExtOp) -> Result<(), Errno> {
        let who = self.who;
        self.mmuext_one(who, op)
    }

    pub(crate) fn pin(&mut self, level: Level, mfn: Mfn) -> Result<(), Errno> {
        self.ext(MmuExtOp::Pin(level, mfn))
    }

    pub(crate) fn unpin(&mut self, mfn: Mfn) -> Result<(), Errno> {
        self.ext(MmuExtOp::Unpin(mfn))
    }

    /// Adds another domain to the machine.
    pub(crate) fn add_domu(&mut self) -> DomainId {
        let config = DomainConfig::domu(600).compact();
        self.create_domain(config)
            .expect("there is room for another")
    }

    /// Switches emulation of stores on.
    pub(crate) fn with_emulation(mut self) -> Self {
        let who = self.who;
        let number = crate::Assists::WRITABLE_PAGETABLES;
        self.vm_assist(who, 0, number).unwrap();
        self
    }
}

impl Deref for Guest {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.machine.assert_sound();
        }
    }
}

/// `DOMID_SELF`, for arrays.
pub(crate) const SELF: u32 = domid::SELF;
