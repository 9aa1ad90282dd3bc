// SPDX-License-Identifier: GPL-2.0-only

//! The functions that the rest of the kernel calls by name.
//!
//! They are `unsafe` because C calls them and passes pointers. Callers have to keep the contracts
//! that the functions of the C backend have: pointers are valid during the call, and the context is
//! the one that the function states. Arguments `pfn` are pseudo-physical frames and `mfn` are
//! machine frames, where a function does not say otherwise. Sizes are in bytes, and `nr` counts
//! entries.

use crate::addr::{
    Maddr,
    Mfn,
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    MachineEntry,
    Protection, //
};
use crate::ops::vtable;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::table_move;
use crate::platform::early::phase::Early;
use crate::platform::kernel::frame_list::FrameList;
use crate::platform::kernel::kernel_data;
use crate::platform::kernel::mm::{
    Mm,
    Vma, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::region::Region;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::{
    Command,
    DomId, //
};
use crate::platform::xen::grants::GrantPages;
use crate::pte::PteRange;
use crate::remap::{
    Frames,
    Mapping, //
};
use crate::{
    boot,
    contiguous,
    direct_map,
    grant,
    nonram,
    p2m,
    pte,
    remap,
    suspend, //
};
use core::ffi::c_void;
use kernel::bindings;
use kernel::prelude::*;

/// Defines exported functions.
macro_rules! exports {
    ($(
        $(#[$attr:meta])*
        fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$attr])*
        ///
        /// # Safety
        ///
        /// See the module.
        #[export]
        unsafe extern "C" fn $name($($arg: $type),*) $(-> $ret)? $body
    )*};
}

// Start of day.
exports! {
    /// Registers the backend.
    ///
    /// Context: start of day, before the first page-table entry is set.
    #[link_section = ".init.text"]
    fn xen_init_mmu_ops() {
        // SAFETY: `xen_start_kernel()` runs, the kernel's first function.
        vtable::init(unsafe { Early::new() });
    }

    /// Finds Xen's m2p table.
    ///
    /// Context: start of day, before any entry is converted.
    #[link_section = ".init.text"]
    fn xen_setup_machphys_mapping() {
        // SAFETY: `xen_start_kernel()` runs, the kernel's first function.
        boot::find_m2p(unsafe { Early::new() });
    }

    /// Starts to use the p2m list that Xen built.
    ///
    /// Context: start of day, before any entry is converted.
    #[link_section = ".init.text"]
    fn xen_build_dynamic_phys_to_machine() {
        // SAFETY: `xen_start_kernel()` runs, the kernel's first function.
        p2m::build::use_initial_list(unsafe { Early::new() });
    }

    /// Makes the kernel's page tables from those at `pgd`, which Xen built, and loads them.
    ///
    /// Context: start of day, on the tables that Xen built.
    #[link_section = ".init.text"]
    fn xen_setup_kernel_pagetable(pgd: *mut bindings::pgd_t, _max_pfn: usize) {
        // SAFETY: `xen_start_kernel()` runs, the kernel's first function.
        let early = unsafe { Early::new() };
        // SAFETY: `pgd` is the root that is loaded. Xen has mapped its tables behind the kernel.
        boot::kernel_tables::setup(early, unsafe { Table::from_raw(pgd) }, caller!());
    }

    /// Reserves the pages of `start_info`, xenstore and the console.
    ///
    /// Context: start of day, once the p2m list is in use.
    #[link_section = ".init.text"]
    fn xen_reserve_special_pages() {
        // SAFETY: `xen_start_kernel()` runs, the kernel's first function.
        boot::reserve_special_pages(unsafe { Early::new() });
    }

    /// Stops the boot if Xen's page tables are where the machine has no RAM.
    ///
    /// Context: start of day, before all memory is mapped.
    #[link_section = ".init.text"]
    fn xen_pt_check_e820() {
        // SAFETY: `setup_arch()` reads the memory map, before it maps memory.
        boot::kernel_tables::check_e820(unsafe { Early::new() });
    }

    /// Moves the p2m list, which is in conflict with the E820 map.
    ///
    /// Context: start of day, before all memory is mapped.
    #[link_section = ".init.text"]
    fn xen_relocate_p2m() {
        // SAFETY: `setup_arch()` reads the memory map, before it maps memory.
        boot::relocate::relocate(unsafe { Early::new() }, caller!());
    }

    /// Moves the p2m list to the vmalloc area.
    ///
    /// Context: start of day, when all memory is mapped.
    #[link_section = ".init.text"]
    fn xen_vmalloc_p2m_tree() {
        // SAFETY: `setup_arch()` has mapped memory, and there is no page allocator yet.
        p2m::build::move_to_vmalloc(unsafe { Early::new() }, &mut may_sleep!());
    }

    /// Makes the frames from `pfn_s` up to `pfn_e`, exclusive, identity frames; returns how many of
    /// them are in the p2m list.
    ///
    /// Context: start of day, while the whole list is writable.
    #[link_section = ".init.text"]
    fn set_phys_range_identity(pfn_s: usize, pfn_e: usize) -> usize {
        p2m::set_range_identity(Pfn::new(pfn_s), Pfn::new(pfn_e))
    }

    /// Records that a range which is not RAM moves.
    ///
    /// Context: start of day, while setup.c compares the E820 map with the kernel.
    #[link_section = ".init.text"]
    fn xen_add_remap_nonram(
        maddr: bindings::phys_addr_t,
        paddr: bindings::phys_addr_t,
        size: usize,
    ) {
        let remap = nonram::Remap {
            machine: Maddr::new(maddr as usize),
            pseudo: Paddr::new(paddr as usize),
            bytes: size,
        };
        // SAFETY: `setup_arch()` reads the memory map, before it maps memory.
        nonram::add(unsafe { Early::new() }, remap);
    }

    /// Enters the ranges that have moved into the p2m list.
    ///
    /// Context: start of day, with the p2m list in the vmalloc area.
    #[link_section = ".init.text"]
    fn xen_do_remap_nonram() {
        nonram::apply(&mut may_sleep!());
    }

    /// Maps machine frame `mfn` at `vaddr`.
    ///
    /// Context: start of day.
    #[link_section = ".init.text"]
    fn set_pte_mfn(vaddr: usize, mfn: usize, flags: bindings::pgprot_t) {
        direct_map::map_machine_early(
            Vaddr::new(vaddr),
            Mfn::new(mfn),
            Protection::from_raw(flags.pgprot),
        );
    }
}

// The toolstack's view and suspend.
exports! {
    /// Updates the machine frames in the tree of frame lists to those of this host.
    ///
    /// Context: after a suspend, with interrupts off, while no other task runs (`stop_machine()`).
    fn xen_build_mfn_list_list() {
        p2m::list::refresh_tree(caller!());
    }

    /// Publishes the p2m list and the tree to the toolstack.
    ///
    /// Context: after a suspend, with interrupts off, while no other task runs (`stop_machine()`).
    fn xen_setup_mfn_list_list() {
        p2m::list::publish(caller!());
    }

    /// Pins all page tables.
    ///
    /// Context: before a suspend, with interrupts off, while no other task runs (`stop_machine()`).
    fn xen_mm_pin_all() {
        suspend::pin_all(caller!());
    }

    /// Undoes `xen_mm_pin_all()`.
    ///
    /// Context: after a suspend, with interrupts off, while no other task runs (`stop_machine()`).
    fn xen_mm_unpin_all() {
        suspend::unpin_all(caller!());
    }
}

// The p2m list.
exports! {
    /// Returns the p2m word of a frame without a local machine frame.
    ///
    /// Context: any.
    fn get_phys_to_machine(pfn: usize) -> usize {
        p2m::word_slow(Pfn::new(pfn)).raw()
    }

    /// Makes the p2m word of a frame writable; returns 0 or `-ENOMEM`.
    ///
    /// Drivers that map grants in contexts that may not sleep call it before.
    ///
    /// Context: may sleep.
    fn xen_alloc_p2m_entry(pfn: usize) -> i32 {
        match p2m::grow::grow(Pfn::new(pfn), &mut may_sleep!()) {
            Ok(()) => 0,
            Err(p2m::grow::CannotGrow) => ENOMEM.to_errno(),
        }
    }

    /// Stores the p2m word `mfn` of `pfn` without growing the list.
    ///
    /// Returns whether the list holds the word afterwards.
    ///
    /// Context: any.
    fn __set_phys_to_machine(pfn: usize, mfn: usize) -> bool {
        p2m::try_set(Pfn::new(pfn), P2mWord::from_raw(mfn))
    }

    /// Stores the p2m word `mfn` of `pfn`; the list grows if necessary.
    ///
    /// Returns whether the list holds the word afterwards.
    ///
    /// Context: may sleep if the list has to grow, as in C.
    fn set_phys_to_machine(pfn: usize, mfn: usize) -> bool {
        p2m::grow::set(Pfn::new(pfn), P2mWord::from_raw(mfn), &mut may_sleep!()).is_ok()
    }
}

/// Returns an array of C, which may be null, as a slice.
///
/// # Safety
///
/// `array` is null or points to `count` elements that nobody else uses during the call.
unsafe fn slice_mut<'a, T>(array: *mut T, count: u32) -> Option<&'a mut [T]> {
    if array.is_null() {
        return None;
    }
    // SAFETY: By the contract of this function.
    Some(unsafe { core::slice::from_raw_parts_mut(array, count as usize) })
}

exports! {
    /// Enters the foreign frames that grant operations have mapped into the p2m list.
    ///
    /// Returns 0 or a negative errno, see [`grant::map`].
    ///
    /// Context: any but NMIs; netback maps in softirqs.
    fn set_foreign_p2m_mapping(
        map_ops: *mut bindings::gnttab_map_grant_ref,
        kmap_ops: *mut bindings::gnttab_map_grant_ref,
        pages: *mut *mut bindings::page,
        count: u32,
    ) -> i32 {
        if !kernel_data::is_pv_domain() {
            return 0;
        }
        // SAFETY: By its contract each array is null or has `count` elements, and only the caller,
        // which waits, uses them.
        let (map_ops, kernel_ops, pages) = unsafe {
            (
                slice_mut(map_ops, count),
                slice_mut(kmap_ops, count),
                GrantPages::new(pages, count as usize),
            )
        };
        grant::map(map_ops.unwrap_or_default(), kernel_ops, &pages)
    }

    /// Removes the foreign frames of grant operations from the p2m list.
    ///
    /// Returns 0 or a negative errno, see [`grant::unmap`].
    ///
    /// Context: any but NMIs.
    fn clear_foreign_p2m_mapping(
        _unmap_ops: *mut bindings::gnttab_unmap_grant_ref,
        kunmap_ops: *mut bindings::gnttab_unmap_grant_ref,
        pages: *mut *mut bindings::page,
        count: u32,
    ) -> i32 {
        if !kernel_data::is_pv_domain() {
            return 0;
        }
        // SAFETY: As in `set_foreign_p2m_mapping()`.
        let (kernel_ops, pages) = unsafe {
            (
                slice_mut(kunmap_ops, count),
                GrantPages::new(pages, count as usize),
            )
        };
        grant::unmap(kernel_ops, &pages)
    }
}

// Single pages and regions.
exports! {
    /// Makes a page of the direct map read-only.
    ///
    /// Context: any but interrupts; the page is not remapped meanwhile.
    fn make_lowmem_page_readonly(vaddr: *mut c_void) {
        direct_map::make_readonly(Vaddr::new(vaddr as usize), caller!());
    }

    /// Makes a page of the direct map writable.
    ///
    /// Context: any but interrupts; the page is not remapped meanwhile.
    fn make_lowmem_page_readwrite(vaddr: *mut c_void) {
        direct_map::make_readwrite(Vaddr::new(vaddr as usize), caller!());
    }

    /// Makes the `1 << order` pages at `pstart` contiguous in machine memory, below
    /// `1 << address_bits` bytes.
    ///
    /// Returns 0, and the machine address in `dma_handle`; or `-ENOMEM`, and the region keeps its
    /// frames.
    ///
    /// Context: any but NMIs; does not sleep.
    fn xen_create_contiguous_region(
        pstart: bindings::phys_addr_t,
        order: u32,
        address_bits: u32,
        dma_handle: *mut bindings::dma_addr_t,
    ) -> i32 {
        // SAFETY: The caller owns the region, which is memory of the direct map, and does not use
        // it before the exchange is done.
        let region = unsafe { Region::new(Paddr::new(pstart as usize), order) };
        match contiguous::create(region, address_bits, caller!()) {
            Ok(mfn) => {
                // SAFETY: `dma_handle` points to a variable of the caller for the address.
                unsafe { dma_handle.write((mfn.raw() << crate::level::PAGE_SHIFT) as u64) };
                0
            }
            Err(contiguous::NotExchanged) => ENOMEM.to_errno(),
        }
    }

    /// Exchanges the contiguous machine memory of `1 << order` pages for any other frames.
    ///
    /// Context: any but NMIs; does not sleep.
    fn xen_destroy_contiguous_region(pstart: bindings::phys_addr_t, order: u32) {
        // SAFETY: As in `xen_create_contiguous_region()`.
        let region = unsafe { Region::new(Paddr::new(pstart as usize), order) };
        contiguous::destroy(region, caller!());
    }

    /// Maps `nr` machine frames of domain `domid` into a process.
    ///
    /// Without `err_ptr`, the frames are consecutive and begin with `*pfn`. With it, `pfn` and
    /// `err_ptr` are arrays of `nr` elements, which may be the same memory. Returns how many frames
    /// were mapped, or a negative errno, which may be that of the last frame.
    ///
    /// Context: may sleep; the caller holds the `mmap_lock` of the address space of `vma`.
    fn xen_remap_pfn(
        vma: *mut bindings::vm_area_struct,
        addr: usize,
        pfn: *mut bindings::xen_pfn_t,
        nr: i32,
        err_ptr: *mut i32,
        prot: bindings::pgprot_t,
        domid: u32,
        no_translate: bool,
    ) -> i32 {
        let count = usize::try_from(nr).unwrap_or(0);
        // SAFETY: The caller holds the `mmap_lock` of the mapping's address space during the call.
        let vma = unsafe { Vma::from_raw(vma) };
        if !vma.is_io_pfnmap() {
            kernel::pr_err!("xen_remap_pfn: the mapping is not one of frames of others\n");
            return EINVAL.to_errno();
        }
        let list;
        let frames = if err_ptr.is_null() {
            // SAFETY: Without `err_ptr`, `pfn` points to the number of the first frame.
            Frames::Contiguous(Mfn::new(unsafe { pfn.read() }))
        } else {
            // SAFETY: With `err_ptr`, both are arrays of `nr` elements during the call. If they
            // overlap, they begin at the same address.
            list = unsafe { FrameList::new(pfn, err_ptr, count) };
            Frames::Listed(&list)
        };
        let mapping = Mapping {
            protection: Protection::from_raw(prot.pgprot),
            domid: DomId::from_raw(domid),
            command: if no_translate {
                Command::NoTranslate
            } else {
                Command::Normal
            },
        };
        match remap::map(vma, Vaddr::new(addr), count, &frames, mapping, &mut may_sleep!()) {
            Ok(mapped) => mapped as i32,
            Err(error) => error.errno(),
        }
    }
}

/// Returns the machine address of the vmcoreinfo note, which crash tools read.
///
/// Context: any.
///
/// # Safety
///
/// See the module.
#[cfg(CONFIG_VMCORE_INFO)]
#[export]
unsafe extern "C" fn paddr_vmcoreinfo_note() -> bindings::phys_addr_t {
    // SAFETY: Only reads a variable that holds the address of the note.
    let note = Vaddr::new(unsafe { bindings::vmcoreinfo_note } as usize);
    if kernel_data::is_pv_domain() {
        p2m::machine_address(note).raw() as u64
    } else {
        crate::platform::kernel::address::virt_to_phys(note).raw() as u64
    }
}

// Ranges of entries, called by inline functions of <asm/pgtable.h>.
exports! {
    /// Clears an entry and returns it; effective on return.
    ///
    /// Context: the caller holds the lock of the table, or nobody else uses the table.
    fn xen_pv_mmu_get_and_clear_pte(
        mm: *mut bindings::mm_struct,
        addr: usize,
        ptep: *mut bindings::pte_t,
    ) -> bindings::pte_t {
        // SAFETY: The address space exists during the call.
        let mm = unsafe { Mm::from_raw(mm) };
        // SAFETY: The entry is in a table that is locked during the call.
        let ptr = unsafe { EntryPtr::from_raw(ptep) };
        let entry = pte::get_and_clear(mm, Vaddr::new(addr), ptr, caller!());
        bindings::pte_t { pte: entry.raw() }
    }

    /// Clears entries; returns the first, and in `others` the flags that were set in any other.
    ///
    /// Context: the caller holds the lock of the table.
    fn xen_pv_mmu_get_and_clear_ptes(
        mm: *mut bindings::mm_struct,
        addr: usize,
        ptep: *mut bindings::pte_t,
        nr: u32,
        others: *mut bindings::pte_t,
    ) -> bindings::pte_t {
        // SAFETY: The address space exists during the call.
        let mm = unsafe { Mm::from_raw(mm) };
        let range = range_of(ptep, nr);
        let (first, flags) = pte::get_and_clear_range(mm, Vaddr::new(addr), range, caller!());
        // SAFETY: `others` points to a variable of the caller.
        unsafe { others.write(bindings::pte_t { pte: flags }) };
        bindings::pte_t { pte: first.raw() }
    }

    /// Clears entries whose accessed and dirty bits do not matter.
    ///
    /// Context: the caller holds the lock of the table.
    fn xen_pv_mmu_clear_ptes(
        mm: *mut bindings::mm_struct,
        addr: usize,
        ptep: *mut bindings::pte_t,
        nr: u32,
    ) {
        // SAFETY: The address space exists during the call.
        let mm = unsafe { Mm::from_raw(mm) };
        pte::clear(mm, Vaddr::new(addr), range_of(ptep, nr), caller!());
    }

    /// Sets entries: the first to `pte`, the others to the same with the frames that follow.
    ///
    /// Context: the caller holds the lock of the table, or nobody else uses the table.
    fn xen_pv_mmu_set_ptes(
        mm: *mut bindings::mm_struct,
        addr: usize,
        ptep: *mut bindings::pte_t,
        pte: bindings::pte_t,
        nr: u32,
    ) {
        let (range, entry) = (range_of(ptep, nr), MachineEntry::from_raw(pte.pte));
        // SAFETY: The address space exists during the call.
        let mm = unsafe { Mm::from_raw(mm) };
        pte::set(mm, Vaddr::new(addr), range, entry, caller!());
    }

    /// Makes entries read-only.
    ///
    /// Context: the caller holds the lock of the table.
    fn xen_pv_mmu_wrprotect_ptes(ptep: *mut bindings::pte_t, nr: u32) {
        pte::write_protect(range_of(ptep, nr), caller!());
    }

    /// Clears the accessed bits of entries, or the dirty bits, or both, as `bits` says.
    ///
    /// Context: the caller holds the lock of the table.
    fn xen_pv_mmu_clear_noted_ptes(
        mm: *mut bindings::mm_struct,
        addr: usize,
        ptep: *mut bindings::pte_t,
        nr: u32,
        bits: usize,
    ) {
        // SAFETY: The address space exists during the call.
        let mm = unsafe { Mm::from_raw(mm) };
        pte::clear_young_dirty(mm, Vaddr::new(addr), range_of(ptep, nr), bits, caller!());
    }

    /// Enters lazy MMU mode, and records that `mremap()` moves a whole table.
    ///
    /// Context: the task holds the locks of both entries of level 2 until the section ends.
    fn __xen_pv_mmu_begin_table_move() {
        // SAFETY: The task holds the locks of both entries, so it does not sleep in the section,
        // which `__xen_pv_mmu_end_table_move()` ends.
        unsafe { bindings::lazy_mmu_mode_enable() };
        table_move::note(true);
    }

    /// Leaves lazy MMU mode after a move, which issues the changes.
    ///
    /// Context: as `__xen_pv_mmu_begin_table_move()`, on the same CPU.
    fn __xen_pv_mmu_end_table_move() {
        table_move::note(false);
        // SAFETY: `__xen_pv_mmu_begin_table_move()` has entered the section.
        unsafe { bindings::lazy_mmu_mode_disable() };
    }
}

/// Takes over a range of entries from C.
fn range_of(first: *mut bindings::pte_t, count: u32) -> PteRange {
    // SAFETY: The entries are in a table that is locked during the call.
    PteRange::new(unsafe { EntryPtr::from_raw(first) }, count as usize)
}
