// SPDX-License-Identifier: GPL-2.0-only

//! The data that Xen provides at start of day, and the data that the guest publishes.

use crate::addr::{
    Maddr,
    Mfn,
    Paddr,
    Vaddr, //
};
use crate::platform::early::phase::Early;
use crate::platform::kernel::address;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::machine::host::{
    current,
    host, //
};
use crate::platform::machine::statics::PerMachine;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use crate::platform::xen::frames;
use crate::platform::xen::machine_map::ReadMostly;
use std::cell::Cell;
use xen_model::{
    shared_info,
    sif,
    StartOfDay, //
};

/// The fields of `start_info` that the kernel uses.
pub(crate) struct Start {
    nr_pages: usize,
    nr_pt_frames: usize,
    flags: u64,
    store: usize,
    console: usize,
    mfn_list: Cell<usize>,
    first_p2m_pfn: Cell<usize>,
    nr_p2m_frames: Cell<usize>,
    pt_base: Cell<usize>,
    address: Cell<usize>,
}

impl Start {
    /// Copies what the domain found.
    pub(crate) fn new(start: &StartOfDay) -> Self {
        Self {
            nr_pages: start.nr_pages as usize,
            nr_pt_frames: start.nr_pt_frames as usize,
            flags: start.flags,
            store: start.store_mfn as usize,
            console: start.console_mfn as usize,
            mfn_list: Cell::new(start.mfn_list as usize),
            first_p2m_pfn: Cell::new(start.first_p2m_pfn as usize),
            nr_p2m_frames: Cell::new(start.nr_p2m_frames as usize),
            pt_base: Cell::new(start.pt_base as usize),
            address: Cell::new(start.start_info as usize),
        }
    }
}

/// Xen's `start_info` page.
pub(crate) struct StartInfo;

macro_rules! start_info_fields {
    ($($(#[$attr:meta])* $name:ident, $set:ident;)*) => {$(
        $(#[$attr])*
        pub(crate) fn $name() -> usize {
            host().start.$name.get()
        }

        /// Sets what the getter of this name returns.
        pub(crate) fn $set(_: Early, value: usize) {
            host().start.$name.set(value)
        }
    )*};
}

impl StartInfo {
    start_info_fields! {
        /// First frame of the p2m list and the tables that map it, if it is mapped separately.
        first_p2m_pfn, set_first_p2m_pfn;
        /// Number of frames from that frame on.
        nr_p2m_frames, set_nr_p2m_frames;
        /// Address of the root table that Xen built.
        pt_base, set_pt_base;
    }

    /// Returns the address of the p2m list that Xen built.
    pub(crate) fn mfn_list() -> Vaddr {
        Vaddr::new(host().start.mfn_list.get())
    }

    /// Records that the p2m list is at the address that the kernel uses now.
    pub(crate) fn note_list(_: Early) {
        let list = crate::platform::xen::machine_map::xen_p2m_addr.get();
        host().start.mfn_list.set(list);
    }

    /// Fills the list at the address in `start_info` with ones, unless the kernel still uses it.
    pub(crate) fn wipe_list(_: Early) {
        let list = Self::mfn_list();
        if list.raw() == crate::platform::xen::machine_map::xen_p2m_addr.get() {
            return;
        }
        for index in 0..Self::nr_pages() {
            crate::platform::machine::memory::store(
                list.add(index * size_of::<usize>()),
                usize::MAX,
            );
        }
    }

    /// Returns the table in machine frame `mfn` if it is one that Xen built, by its address in the
    /// kernel map.
    pub(crate) fn table_in(_: Early, mfn: Mfn) -> Option<Table> {
        let pfn = frames::own_frame(mfn)?;
        let first = address::virt_to_phys(Vaddr::new(Self::pt_base()))
            .pfn()
            .raw();
        if !(first..first + Self::nr_pt_frames()).contains(&pfn.raw()) {
            return None;
        }
        Some(Table::at(KERNEL_MAP.add(pfn.paddr().raw())))
    }

    /// Returns the number of frames that the domain has at start of day.
    pub(crate) fn nr_pages() -> usize {
        host().start.nr_pages
    }

    /// Returns the number of frames of the tables that Xen built.
    pub(crate) fn nr_pt_frames() -> usize {
        host().start.nr_pt_frames
    }

    /// Whether the toolstack works without the tree of frame lists: it does not, as with xl.
    pub(crate) fn tools_know_linear_list() -> bool {
        false
    }

    /// Whether this is the initial domain.
    pub(crate) fn is_initial_domain() -> bool {
        host().start.flags & sif::INITDOMAIN != 0
    }

    /// Returns the frame of the xenstore ring, if there is one.
    pub(crate) fn store() -> Option<Mfn> {
        let mfn = host().start.store;
        (mfn != 0).then_some(Mfn::new(mfn))
    }

    /// Returns the frame of the console ring of an unprivileged domain.
    pub(crate) fn console() -> Mfn {
        Mfn::new(host().start.console)
    }

    /// Returns where the page is mapped.
    pub(crate) fn address() -> Vaddr {
        Vaddr::new(host().start.address.get())
    }

    /// Uses the mapping of the page at `address` from now on.
    pub(crate) fn set_address(_: Early, address: Vaddr) {
        host().start.address.set(address.raw());
    }
}

/// The part of Xen's `shared_info` page that describes the p2m list to the toolstack.
pub(crate) struct SharedP2m;

impl SharedP2m {
    fn set(index: usize, word: usize) {
        let host = host();
        let mut machine = host.machine.borrow_mut();
        machine.set_shared_word(host.domain, index, word as u64);
    }

    /// As [`Self::set`], while the toolstack may read it.
    fn store(index: usize, word: usize) {
        let host = host();
        let mut machine = host.machine.borrow_mut();
        machine.store_shared_word(host.domain, index, word as u64);
    }

    /// Whether the page is Xen's.
    pub(crate) fn is_real() -> bool {
        true
    }

    /// Publishes everything at once.
    pub(crate) fn publish(tree: Option<Mfn>, nr_frames: usize, list: Vaddr, root: Mfn) {
        let tree = tree.map_or(usize::MAX, Mfn::raw);
        Self::set(shared_info::FRAME_LIST_LIST, tree);
        Self::set(shared_info::MAX_PFN, nr_frames);
        Self::set(shared_info::P2M_GENERATION, 0);
        Self::set(shared_info::P2M_VADDR, list.raw());
        Self::set(shared_info::P2M_CR3, root.raw() << crate::level::PAGE_SHIFT);
    }

    /// Sets how many frames the list describes.
    pub(crate) fn set_nr_frames(nr_frames: usize) {
        Self::store(shared_info::MAX_PFN, nr_frames);
    }

    /// Returns the generation: odd while the mapping of the list is being changed.
    pub(crate) fn generation() -> usize {
        let host = host();
        let machine = host.machine.borrow();
        let page = machine.shared_info(host.domain);
        machine.frame_word(page, shared_info::P2M_GENERATION) as usize
    }

    /// Moves to the next generation.
    pub(crate) fn next_generation() {
        let next = Self::generation().wrapping_add(1);
        Self::store(shared_info::P2M_GENERATION, next);
    }
}

static MAX_PFN_MAPPED: ReadMostly = ReadMostly::new(0);

/// Sets where Xen's initial mapping ends, for the kernel.
pub(crate) fn set_max_pfn_mapped(_: Early, frames: usize) {
    MAX_PFN_MAPPED.set(frames);
}

/// Returns where Xen's initial mapping ends, in frames.
pub(crate) fn max_pfn_mapped() -> usize {
    MAX_PFN_MAPPED.get()
}

/// Returns the range of the kernel image, including what it has allocated so far.
pub(crate) fn image_bounds() -> (Vaddr, Vaddr) {
    let pages = static_tables::IMAGE_PAGES;
    (KERNEL_MAP, KERNEL_MAP.add(pages * crate::level::PAGE_SIZE))
}

static ACPI_HOOKS: ReadMostly = ReadMostly::new(0);

/// Requests translation of ACPI's mappings. The host has no ACPI and only counts the requests.
pub(crate) fn hook_acpi_mappings(_: Early, _: fn(Maddr, usize) -> Paddr) {
    ACPI_HOOKS.set(ACPI_HOOKS.get() + 1);
}

/// Returns how often a translation of ACPI's mappings was set.
pub(crate) fn nr_acpi_hooks() -> usize {
    ACPI_HOOKS.get()
}

/// A value that is set during start of day, and read later.
pub(crate) struct BootCell<T>(PerMachine<T>);

impl<T: Copy + 'static> BootCell<T> {
    /// Returns a cell with this initial value.
    pub(crate) const fn new(value: T) -> Self {
        // INVARIANT: A `Copy` type owns nothing.
        Self(PerMachine(value))
    }

    /// Returns a copy of the value.
    pub(crate) fn get(&'static self) -> T {
        if current().is_none() {
            return self.0 .0;
        }
        // SAFETY: The copy belongs to this thread, which has no reference to it.
        unsafe { self.0.get().read() }
    }

    /// Sets the value.
    pub(crate) fn set(&'static self, _: Early, value: T) {
        // SAFETY: As in `get()`.
        unsafe { self.0.get().write(value) }
    }
}
