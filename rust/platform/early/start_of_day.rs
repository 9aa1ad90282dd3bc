// SPDX-License-Identifier: GPL-2.0-only

//! What Xen hands over at start of day, what the guest publishes to it, and early services of the
//! kernel.

use crate::addr::{
    Maddr,
    Mfn,
    Paddr,
    Vaddr, //
};
use crate::platform::diag::stats::{
    self,
    Counter, //
};
use crate::platform::early::phase::Early;
use crate::platform::kernel::address;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::paging::table::Table;
use crate::platform::xen::frames;
use crate::platform::xen::machine_map::xen_p2m_addr;
use kernel::bindings;

/// Xen's `start_info` page (`public/xen.h`).
///
/// This crate changes it during start of day only.
///
/// Context: any, for methods that read; start of day, for those that take an [`Early`].
pub(crate) struct StartInfo;

macro_rules! start_info_fields {
    ($($(#[$attr:meta])* $name:ident, $set:ident: $field:ident;)*) => {$(
        $(#[$attr])*
        pub(crate) fn $name() -> usize {
            // SAFETY: The page is mapped from the first instruction on.
            unsafe { (*bindings::xen_start_info).$field }
        }

        /// Sets what the getter of this name returns.
        pub(crate) fn $set(_: Early, value: usize) {
            // SAFETY: As above. Nobody else runs, as `Early` shows.
            unsafe { (*bindings::xen_start_info).$field = value }
        }
    )*};
}

impl StartInfo {
    start_info_fields! {
        /// First frame of the p2m list and the tables that map it, if it is mapped separately.
        first_p2m_pfn, set_first_p2m_pfn: first_p2m_pfn;
        /// Number of frames from there on.
        nr_p2m_frames, set_nr_p2m_frames: nr_p2m_frames;
        /// Address of the root table that Xen built.
        pt_base, set_pt_base: pt_base;
    }

    /// Returns the address of the p2m list that Xen built.
    pub(crate) fn mfn_list() -> Vaddr {
        // SAFETY: The page is mapped from the first instruction on.
        Vaddr::new(unsafe { (*bindings::xen_start_info).mfn_list })
    }

    /// Notes that the p2m list is where the kernel looks for it now.
    pub(crate) fn note_list(_: Early) {
        // SAFETY: As above. Nobody else runs, as `Early` shows.
        unsafe { (*bindings::xen_start_info).mfn_list = xen_p2m_addr.get() }
    }

    /// Fills the list that `start_info` names with ones, unless it still is the kernel's.
    ///
    /// Context: start of day; the list is in writable memory.
    pub(crate) fn wipe_list(_: Early) {
        let list = Self::mfn_list().raw();
        if list == xen_p2m_addr.get() {
            return;
        }
        for index in 0..Self::nr_pages() {
            // SAFETY: The list was made for us and has a word for each frame. Only the kernel's own
            // is used, and nobody else runs, as `Early` shows.
            unsafe { (list as *mut usize).add(index).write(usize::MAX) };
        }
    }

    /// Returns the table in machine frame `mfn` if it is one that Xen built, by its address in the
    /// kernel map.
    ///
    /// Context: start of day, before [`crate::boot::cleanup`].
    pub(crate) fn table_in(_: Early, mfn: Mfn) -> Option<Table> {
        let pfn = frames::own_frame(mfn)?;
        let first = address::virt_to_phys(Vaddr::new(Self::pt_base()))
            .pfn()
            .raw();
        if !(first..first + Self::nr_pt_frames()).contains(&pfn.raw()) {
            return None;
        }
        let page = KERNEL_MAP.add(pfn.paddr().raw()).raw() as *mut usize;
        // SAFETY: Xen maps its tables together with the kernel, at this distance. Nobody else uses
        // them, as `Early` shows.
        Some(unsafe { Table::from_raw(page) })
    }

    /// Returns the number of frames that the domain has at start of day.
    pub(crate) fn nr_pages() -> usize {
        // SAFETY: The page is mapped from the first instruction on.
        unsafe { (*bindings::xen_start_info).nr_pages }
    }

    /// Returns the number of frames of the tables that Xen built.
    pub(crate) fn nr_pt_frames() -> usize {
        // SAFETY: The page is mapped from the first instruction on.
        unsafe { (*bindings::xen_start_info).nr_pt_frames }
    }

    /// Whether the toolstack can do without the tree of frame lists.
    pub(crate) fn tools_know_linear_list() -> bool {
        // SAFETY: The page is mapped from the first instruction on.
        let flags = unsafe { (*bindings::xen_start_info).flags };
        flags & bindings::SIF_VIRT_P2M_4TOOLS != 0
    }

    /// Whether this is the initial domain.
    pub(crate) fn is_initial_domain() -> bool {
        // SAFETY: Set once, before any of this runs.
        unsafe { bindings::xen_start_flags & bindings::SIF_INITDOMAIN != 0 }
    }

    /// Returns the frame of the xenstore ring, if there is one.
    pub(crate) fn store() -> Option<Mfn> {
        // SAFETY: The page is mapped from the first instruction on.
        let mfn = unsafe { (*bindings::xen_start_info).store_mfn };
        (mfn != 0).then_some(Mfn::new(mfn))
    }

    /// Returns the frame of the console ring of an unprivileged domain.
    pub(crate) fn console() -> Mfn {
        // SAFETY: The page is mapped; in an unprivileged domain this is the field in use.
        Mfn::new(unsafe { (*bindings::xen_start_info).console.domU.mfn })
    }

    /// Returns where the page is mapped.
    pub(crate) fn address() -> Vaddr {
        // SAFETY: Only reads the pointer.
        Vaddr::new(unsafe { bindings::xen_start_info } as usize)
    }

    /// Uses the mapping of the page at `address` from now on.
    pub(crate) fn set_address(_: Early, address: Vaddr) {
        // SAFETY: Nobody else runs, as `Early` shows.
        unsafe { bindings::xen_start_info = address.raw() as *mut _ }
    }
}

/// The part of Xen's `shared_info` page that tells the toolstack about the p2m list
/// (`public/arch-x86/xen.h`, `arch_shared_info`).
pub(crate) struct SharedP2m;

impl SharedP2m {
    fn arch() -> *mut bindings::arch_shared_info {
        // SAFETY: The pointer always points to a page, be it a dummy.
        unsafe { &raw mut (*bindings::HYPERVISOR_shared_info).arch }
    }

    /// Whether the page is Xen's and not the dummy of start of day and suspend.
    ///
    /// Context: any.
    pub(crate) fn is_real() -> bool {
        // SAFETY: Only compares pointers.
        unsafe { bindings::HYPERVISOR_shared_info != &raw mut bindings::xen_dummy_shared_info }
    }

    /// Publishes everything at once: the root frame of the tree (`None`: not to be used), how
    /// many frames are described, and the linear list with the root table it is mapped in.
    ///
    /// Context: the caller holds the lock of the p2m list. It is start of day, or no other task
    /// runs because of a suspend.
    pub(crate) fn publish(tree: Option<Mfn>, nr_frames: usize, list: Vaddr, root: Mfn) {
        let arch = Self::arch();
        // SAFETY: Only the toolstack looks at these, while the domain is paused.
        unsafe {
            (*arch).pfn_to_mfn_frame_list_list = tree.map_or(usize::MAX, Mfn::raw);
            (*arch).max_pfn = nr_frames;
            (*arch).p2m_generation = 0;
            (*arch).p2m_vaddr = list.raw();
            // The folded form of `xen_pfn_to_cr3()` is a plain shift on 64 bits.
            (*arch).p2m_cr3 = root.raw() << crate::level::PAGE_SHIFT;
        }
    }

    /// Sets how many frames the list describes.
    ///
    /// Context: the caller holds the lock of the p2m list, and the generation is odd.
    pub(crate) fn set_nr_frames(nr_frames: usize) {
        // SAFETY: A single store of a word.
        unsafe { (&raw mut (*Self::arch()).max_pfn).write_volatile(nr_frames) }
    }

    /// Returns the generation: odd while the mapping of the list is being changed.
    ///
    /// Context: any.
    pub(crate) fn generation() -> usize {
        // SAFETY: A single load of a word.
        unsafe { (&raw const (*Self::arch()).p2m_generation).read_volatile() }
    }

    /// Moves to the next generation; the toolstack sees it before or after all other stores.
    ///
    /// Context: the caller holds the lock of the p2m list.
    pub(crate) fn next_generation() {
        // SAFETY: Orders stores. It pairs with the read barriers of the toolstack (Xen
        // `public/arch-x86/xen.h`, on `p2m_generation`).
        unsafe { bindings::xen_pv_mmu_wmb() };
        let generation = Self::generation().wrapping_add(1);
        // SAFETY: A single store of a word, under the lock of the p2m list.
        unsafe { (&raw mut (*Self::arch()).p2m_generation).write_volatile(generation) };
        if generation % 2 == 1 {
            stats::count(Counter::P2mChange);
        }
        // SAFETY: As above.
        unsafe { bindings::xen_pv_mmu_wmb() };
    }
}

/// Tells the kernel how many frames Xen's initial mapping covers, from frame 0 on.
///
/// Context: start of day.
pub(crate) fn set_max_pfn_mapped(_: Early, frames: usize) {
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe { bindings::max_pfn_mapped = frames }
}

/// Returns where the kernel image begins and where it ends, with what it allocated so far.
///
/// Context: any.
pub(crate) fn image_bounds() -> (Vaddr, Vaddr) {
    let start = (&raw const bindings::_text).cast::<u8>() as usize;
    // SAFETY: Reads a word; the kernel does not move the end once it has a second CPU.
    let end = unsafe { bindings::_brk_end };
    (Vaddr::new(start), Vaddr::new(end))
}

/// A value that is set during start of day, and read later.
pub(crate) struct BootCell<T>(core::cell::UnsafeCell<T>);

// SAFETY: Writes take an `Early`, so they happen before there is a second CPU or task; later there
// are only reads.
unsafe impl<T: Copy + Send> Sync for BootCell<T> {}

impl<T: Copy> BootCell<T> {
    /// Returns a cell with this initial value.
    ///
    /// Context: any.
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Returns a copy of the value.
    ///
    /// Context: any.
    pub(crate) fn get(&self) -> T {
        // SAFETY: See `Sync` above.
        unsafe { *self.0.get() }
    }

    /// Sets the value.
    ///
    /// Context: start of day.
    pub(crate) fn set(&self, _: Early, value: T) {
        // SAFETY: See `Sync` above.
        unsafe { *self.0.get() = value }
    }
}

/// Says where memory is found that ACPI knows by its machine address, given that and a size.
type Translate = fn(Maddr, usize) -> Paddr;

/// Has ACPI's mappings translated.
///
/// Context: start of day.
#[cfg(CONFIG_ACPI)]
pub(crate) fn hook_acpi_mappings(early: Early, translate: Translate) {
    static TRANSLATE: BootCell<Translate> = BootCell::new(|start, _| Paddr::new(start.raw()));

    /// # Safety
    ///
    /// As for `acpi_os_ioremap()`.
    unsafe extern "C" fn remap(
        start: bindings::acpi_physical_address,
        bytes: bindings::acpi_size,
    ) -> *mut core::ffi::c_void {
        let moved = TRANSLATE.get()(Maddr::new(start as usize), bytes as usize);
        // SAFETY: As for the caller, which wants to map the range.
        unsafe { bindings::x86_acpi_os_ioremap(moved.raw() as u64, bytes) }
    }

    TRANSLATE.set(early, translate);
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe { bindings::acpi_os_ioremap = Some(remap) };
}

/// There is no ACPI, whose mappings could be translated.
///
/// Context: start of day.
#[cfg(not(CONFIG_ACPI))]
pub(crate) fn hook_acpi_mappings(_: Early, _: Translate) {}
