// SPDX-License-Identifier: GPL-2.0

//! What Xen hands over at start of day, what the guest publishes to it, and early services of the
//! kernel.

use crate::addr::{
    Paddr,
    Vaddr,
    PAGE_SIZE, //
};
use crate::frame::{
    Mfn,
    P2mWord,
    Pfn, //
};
use crate::platform::Slot;
use core::ffi::CStr;
use kernel::bindings;
use kernel::str::CStrExt as _;

/// Xen's `start_info` page (`public/xen.h`).
///
/// Its owner at any time is the boot CPU, or the CPU that runs alone during a suspend.
pub(crate) struct StartInfo;

macro_rules! start_info_fields {
    ($($(#[$attr:meta])* $name:ident, $set:ident: $field:ident;)*) => {$(
        $(#[$attr])*
        pub(crate) fn $name() -> usize {
            // SAFETY: The page is mapped from the first instruction on.
            unsafe { (*bindings::xen_start_info).$field }
        }

        /// Sets what the getter of this name returns.
        pub(crate) fn $set(value: usize) {
            // SAFETY: As above; nobody else runs while start_info is changed.
            unsafe { (*bindings::xen_start_info).$field = value }
        }
    )*};
}

impl StartInfo {
    start_info_fields! {
        /// Address of the p2m list that Xen built.
        mfn_list, set_mfn_list: mfn_list;
        /// First frame of the p2m list and the tables that map it, if it is mapped separately.
        first_p2m_pfn, set_first_p2m_pfn: first_p2m_pfn;
        /// Number of frames from there on.
        nr_p2m_frames, set_nr_p2m_frames: nr_p2m_frames;
        /// Address of the root table that Xen built.
        pt_base, set_pt_base: pt_base;
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
    pub(crate) fn set_address(address: Vaddr) {
        // SAFETY: Start of day: nobody else runs.
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
    pub(crate) fn is_real() -> bool {
        // SAFETY: Only compares pointers.
        unsafe { bindings::HYPERVISOR_shared_info != &raw mut bindings::xen_dummy_shared_info }
    }

    /// Publishes everything at once: the root frame of the tree (`None`: not to be used), how
    /// many frames are described, and the linear list with the root table it is mapped in.
    pub(crate) fn publish(tree: Option<Mfn>, nr_frames: usize, list: Vaddr, root: Mfn) {
        let arch = Self::arch();
        // SAFETY: Only the toolstack looks at these, while the domain is paused.
        unsafe {
            (*arch).pfn_to_mfn_frame_list_list = tree.map_or(usize::MAX, Mfn::raw);
            (*arch).max_pfn = nr_frames;
            (*arch).p2m_generation = 0;
            (*arch).p2m_vaddr = list.raw();
            // The folded form of `xen_pfn_to_cr3()` is a plain shift on 64 bits.
            (*arch).p2m_cr3 = root.raw() << crate::addr::PAGE_SHIFT;
        }
    }

    /// Sets how many frames the list describes.
    pub(crate) fn set_nr_frames(nr_frames: usize) {
        // SAFETY: A single store of a word.
        unsafe { (&raw mut (*Self::arch()).max_pfn).write_volatile(nr_frames) }
    }

    /// Returns the generation: odd while the mapping of the list is being changed.
    pub(crate) fn generation() -> usize {
        // SAFETY: A single load of a word.
        unsafe { (&raw const (*Self::arch()).p2m_generation).read_volatile() }
    }

    /// Moves to the next generation; the toolstack sees it before or after all other stores.
    pub(crate) fn next_generation() {
        // SAFETY: Orders stores. It pairs with the read barriers of the toolstack (Xen
        // `public/arch-x86/xen.h`, on `p2m_generation`).
        unsafe { bindings::xen_pv_mmu_wmb() };
        let generation = Self::generation().wrapping_add(1);
        // SAFETY: A single store of a word, under the lock of the p2m list.
        unsafe { (&raw mut (*Self::arch()).p2m_generation).write_volatile(generation) };
        // SAFETY: As above.
        unsafe { bindings::xen_pv_mmu_wmb() };
    }
}

/// Reads a word at a pseudo-physical address without relying on the direct map.
#[inline(always)]
pub(crate) fn read_phys_early(paddr: Paddr) -> usize {
    // SAFETY: Maps RAM read-only for the time of the read.
    unsafe {
        let word = bindings::early_memremap_ro(paddr.raw() as u64, size_of::<usize>());
        let value = word.cast::<usize>().read();
        bindings::early_memunmap(word, size_of::<usize>());
        value
    }
}

/// A page of RAM mapped for the time this exists, before the direct map covers it.
pub(crate) struct EarlyMapping(*mut core::ffi::c_void);

impl EarlyMapping {
    /// Maps the page at `paddr` and fills it with zeroes.
    ///
    /// # Safety
    ///
    /// The page belongs to the caller.
    #[inline(always)]
    pub(crate) unsafe fn zeroed(paddr: Paddr) -> Self {
        // SAFETY: Maps RAM; there are eight slots for such mappings, of which at most three are
        // in use here.
        let page = unsafe { bindings::early_memremap(paddr.raw() as u64, PAGE_SIZE) };
        // SAFETY: The page is mapped and the caller's.
        unsafe { core::ptr::write_bytes(page.cast::<u8>(), 0, PAGE_SIZE) };
        Self(page)
    }

    /// Returns the place of entry `index` of the table that the page is to be.
    pub(crate) fn slot(&self, index: usize) -> Slot {
        // SAFETY: The page is mapped while `self` exists.
        unsafe { Slot::in_table(Vaddr::new(self.0 as usize), index) }
    }
}

impl Drop for EarlyMapping {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: Mapped by `zeroed()`.
        unsafe { bindings::early_memunmap(self.0, PAGE_SIZE) }
    }
}

/// Keeps memory from being handed out.
#[inline(always)]
pub(crate) fn memblock_reserve(start: Paddr, bytes: usize) {
    // SAFETY: Start of day: nobody else runs. A failure to record it is reported by memblock.
    unsafe { bindings::xen_pv_mmu_memblock_reserve(start.raw() as u64, bytes as u64) };
}

/// Gives reserved memory back.
#[inline(always)]
pub(crate) fn memblock_free(start: Paddr, bytes: usize) {
    // SAFETY: Start of day; the callers have stopped to use the memory.
    unsafe { bindings::memblock_phys_free(start.raw() as u64, bytes as u64) };
}

/// Finds `bytes` of RAM that is free and not in conflict with the E820 map (setup.c).
#[inline(always)]
pub(crate) fn find_free_area(bytes: usize) -> Option<Paddr> {
    // SAFETY: Start of day: nobody else runs.
    let area = unsafe { bindings::xen_find_free_area(bytes as u64) };
    (area != 0).then_some(Paddr::new(area as usize))
}

/// Stops the boot if part of the area is not RAM in the E820 map (setup.c).
#[inline(always)]
pub(crate) fn check_e820_usable(start: Paddr, bytes: usize, component: &'static CStr) {
    // SAFETY: Start of day: nobody else runs.
    unsafe {
        bindings::xen_chk_is_e820_usable(start.raw() as u64, bytes as u64, component.as_char_ptr())
    }
}

/// Returns what the p2m list will say of a frame of extra memory, before it covers it (setup.c).
#[inline(always)]
pub(crate) fn check_extra_memory(pfn: Pfn) -> P2mWord {
    // SAFETY: Only looks the frame up in a table of setup.c.
    P2mWord::from_raw(unsafe { bindings::xen_chk_extra_mem(pfn.raw()) })
}

/// Marks extra memory as missing in the p2m list (setup.c).
#[inline(always)]
pub(crate) fn invalidate_extra_memory() {
    // SAFETY: Start of day: nobody else runs.
    unsafe { bindings::xen_inv_extra_mem() }
}

/// Remaps memory that was freed for the sake of the E820 map (setup.c).
#[inline(always)]
pub(crate) fn remap_released_memory() {
    // SAFETY: Start of day: nobody else runs.
    unsafe { bindings::xen_remap_memory() }
}

/// Builds the kernel's page tables for all memory (`paging_init()`).
#[inline(always)]
pub(crate) fn build_kernel_mappings() {
    // SAFETY: Called once, from the hook that replaces it.
    unsafe { bindings::paging_init() }
}

/// Makes sure that there are tables down to level 1 above `vaddr`; returns the entry.
#[inline(always)]
pub(crate) fn populate_level1(vaddr: Vaddr) -> Slot {
    // SAFETY: Start of day: nobody else runs. Returns an entry of the kernel's tables, for good.
    unsafe { Slot::from_raw(bindings::populate_extra_pte(vaddr.raw())) }
}

/// Makes sure that there are tables down to level 2 above `vaddr`; returns the entry.
#[inline(always)]
pub(crate) fn populate_level2(vaddr: Vaddr) -> Slot {
    // SAFETY: As in `populate_level1()`.
    unsafe { Slot::from_raw(bindings::populate_extra_pmd(vaddr.raw())) }
}

/// Stops the machine: what happened was reported, and nothing can be saved.
#[cold]
pub(crate) fn die(message: &'static CStr) -> ! {
    // SAFETY: The format fits the argument.
    unsafe { bindings::panic(c"xen_pv_mmu: %s\n".as_char_ptr(), message.as_char_ptr()) };
    #[allow(unreachable_code)]
    loop {
        core::hint::spin_loop();
    }
}

/// Tells the kernel up to where Xen's initial mapping reaches.
pub(crate) fn set_max_pfn_mapped(frames: usize) {
    // SAFETY: Start of day: nobody else runs.
    unsafe { bindings::max_pfn_mapped = frames }
}

/// Returns where the kernel image begins and where it ends, with what it allocated so far.
pub(crate) fn image_bounds() -> (Vaddr, Vaddr) {
    let start = (&raw const bindings::_text).cast::<u8>() as usize;
    // SAFETY: Start of day: nobody else runs.
    let end = unsafe { bindings::_brk_end };
    (Vaddr::new(start), Vaddr::new(end))
}

/// Copies `count` words.
///
/// # Safety
///
/// Both areas are mapped, the destination is the caller's, and they do not overlap.
pub(crate) unsafe fn copy_words(from: Vaddr, to: Vaddr, count: usize) {
    // SAFETY: By the contract of this function.
    unsafe {
        core::ptr::copy_nonoverlapping(from.raw() as *const usize, to.raw() as *mut usize, count)
    }
}

/// Sets `count` words.
///
/// # Safety
///
/// The area is mapped and the caller's.
pub(crate) unsafe fn fill_words(start: Vaddr, word: usize, count: usize) {
    for index in 0..count {
        // SAFETY: By the contract of this function.
        unsafe { (start.raw() as *mut usize).add(index).write(word) };
    }
}

/// A value that is set while only the boot CPU runs, and read later.
pub(crate) struct BootCell<T>(core::cell::UnsafeCell<T>);

// SAFETY: Writes happen before there is a second CPU or task; later there are only reads.
unsafe impl<T: Copy + Send> Sync for BootCell<T> {}

impl<T: Copy> BootCell<T> {
    /// Returns a cell with this initial value.
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Returns a copy of the value.
    pub(crate) fn get(&self) -> T {
        // SAFETY: See `Sync` above.
        unsafe { *self.0.get() }
    }

    /// Sets the value.
    ///
    /// Context: start of day.
    pub(crate) fn set(&self, value: T) {
        // SAFETY: See `Sync` above.
        unsafe { *self.0.get() = value }
    }
}

/// Has ACPI's mappings translated by [`crate::nonram::translate`].
///
/// Context: start of day.
pub(crate) fn hook_acpi_mappings() {
    #[cfg(CONFIG_ACPI)]
    {
        /// # Safety
        ///
        /// As for `acpi_os_ioremap()`.
        unsafe extern "C" fn remap(
            start: bindings::acpi_physical_address,
            bytes: bindings::acpi_size,
        ) -> *mut core::ffi::c_void {
            let moved = crate::nonram::translate(start as usize, bytes as usize);
            // SAFETY: As for the caller, which wants to map the range.
            unsafe { bindings::x86_acpi_os_ioremap(moved as u64, bytes) }
        }
        // SAFETY: Start of day: nobody else runs.
        unsafe { bindings::acpi_os_ioremap = Some(remap) };
    }
}
