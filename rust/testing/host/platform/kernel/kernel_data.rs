// SPDX-License-Identifier: GPL-2.0-only

//! Data of the kernel at fixed addresses, and its configuration.

use crate::addr::{
    Maddr,
    Mfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::guest::generic;
use crate::platform::early::phase::Early;
use crate::platform::kernel::address::VMALLOC_START;
use crate::platform::kernel::fixmap_kind::FixmapKind;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::{
    current,
    host, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::table::{
    StaticTable,
    Table, //
};

/// Memory size up to which the domain can grow by hotplug, in GiB.
pub(crate) const HOTPLUG_LIMIT_GIB: usize = 2;

/// Whether this is a Xen PV domain: whether the test has a machine.
pub(crate) fn is_pv_domain() -> bool {
    current().is_some()
}

static USER_VSYSCALL_LEVEL3: StaticTable = StaticTable::new();

/// Returns the table of level 3 above the vsyscall page that user roots share.
pub(crate) fn user_vsyscall_table() -> Option<Table> {
    Some(USER_VSYSCALL_LEVEL3.table())
}

/// Sets the entry of the vsyscall page in the tables of user mode.
pub(crate) fn set_user_vsyscall(page: Vaddr, entry: MachineEntry) {
    generic::set_below_level3(USER_VSYSCALL_LEVEL3.table(), page, entry);
}

/// Numbers of fixed mappings.
pub(crate) mod fixmap_index {
    /// The vsyscall page.
    pub(crate) const VSYSCALL: u32 = 511;
    /// The local APIC.
    pub(crate) const APIC: u32 = 513;
    /// The mappings for early use.
    pub(crate) const EARLY: std::ops::RangeInclusive<u32> = 1024..=1535;
}

/// Returns the meaning of the address for fixed mapping `index`.
pub(crate) fn fixmap_kind(index: u32) -> FixmapKind {
    match index {
        fixmap_index::VSYSCALL => FixmapKind::Vsyscall,
        fixmap_index::APIC => FixmapKind::Apic,
        _ if fixmap_index::EARLY.contains(&index) => FixmapKind::Memory,
        _ => FixmapKind::Machine,
    }
}

/// Returns the machine address of an entry, wherever its table is mapped.
#[track_caller]
pub(crate) fn arbitrary_machine_address(ptr: EntryPtr) -> Maddr {
    let vaddr = ptr.vaddr();
    let host = host();
    let walk = host
        .machine
        .borrow()
        .translate(host.vcpu(), vaddr.raw() as u64);
    match walk {
        Some(walk) => Maddr::in_frame(Mfn::new(walk.mfn.0 as usize), vaddr.page_offset()),
        None => panic!("{vaddr:x?} is not mapped"),
    }
}

/// Reports to the page table checker that `entry` replaces the entry at `ptr`.
pub(crate) fn check_page_table_set(
    _mm: Mm,
    _address: Vaddr,
    _slot: EntryPtr,
    _entry: MachineEntry,
) {
}

/// Whether the kernel counts what page tables map.
pub(crate) const PAGE_TABLE_CHECK: bool = false;

/// Reports to the page table checker that `entry` is cleared.
pub(crate) fn check_page_table_clear(_mm: Mm, _address: Vaddr, _entry: MachineEntry) {}

/// The part of the vmalloc area that the p2m list takes.
pub(crate) struct P2mArea(usize);

impl P2mArea {
    /// Takes `bytes` of the vmalloc area.
    pub(crate) fn register(_: Early, bytes: usize) -> Self {
        Self(bytes)
    }

    /// Returns where it begins.
    pub(crate) fn start(&self) -> Vaddr {
        VMALLOC_START
    }

    /// Returns the size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.0
    }
}

/// Logs where the p2m list is.
pub(crate) fn announce_p2m_area(area: &P2mArea) {
    kernel::pr_info!("p2m virtual area of {:#x} bytes", area.bytes());
}
