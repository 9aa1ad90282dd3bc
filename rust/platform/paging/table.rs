// SPDX-License-Identifier: GPL-2.0-only

//! Pages of entries: page tables, and pages that the toolstack reads in the same way.
//!
//! Safe code cannot create a [`Table`] from an address. Each one comes from something that is known
//! to be one: a static, a page that the backend owns, an address space, another table, or a frame
//! on which the p2m list and the m2p table agree.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::{
    Index,
    ENTRIES, //
};
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::xen::frames;
use core::cell::UnsafeCell;
use core::ptr::NonNull;

/// A page of entries.
///
/// The type guarantees that the page is memory of the domain which stays mapped, so its entries can
/// be copied at any time. It does not guarantee that the page is still a table when an entry is
/// *stored*. The locks of the tree do, for stores and for hypercalls alike.
///
/// Context: any, for methods that do not say otherwise.
///
/// # Invariants
///
/// Points to a page of the domain's RAM that is mapped here while this value is used, and that
/// nobody accesses through a Rust reference.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Table(NonNull<usize>);

// SAFETY: Entries are only accessed by single volatile loads and stores, from any CPU.
unsafe impl Send for Table {}
// SAFETY: As above.
unsafe impl Sync for Table {}

impl Table {
    /// Takes over a pointer to a page of entries.
    ///
    /// # Safety
    ///
    /// The type invariant holds for `page`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw<T>(page: *mut T) -> Self {
        // SAFETY: A pointer to a page is not null, by the contract of this function.
        // INVARIANT: By the contract of this function.
        Self(unsafe { NonNull::new_unchecked(page.cast()) })
    }

    /// Returns the table that `entry` points to, if that is in RAM of the domain.
    ///
    /// Context: all memory is mapped; `entry` was read from a table above level 1 and maps no page.
    #[inline(always)]
    pub(crate) fn below(entry: MachineEntry) -> Option<Self> {
        // SAFETY: By the contract of this function the entry points to a table.
        unsafe { Self::in_frame(entry.mfn()) }
    }

    /// Returns the table in machine frame `mfn`, if that is RAM of the domain.
    ///
    /// # Safety
    ///
    /// The frame holds a table, and all memory is mapped.
    #[inline(always)]
    pub(in crate::platform) unsafe fn in_frame(mfn: Mfn) -> Option<Self> {
        let page = address::pfn_to_virt(frames::own_frame(mfn)?).raw() as *mut usize;
        // SAFETY: `own_frame()` has found that the page is RAM of the domain, all of which stays
        // mapped in the direct map. By the contract of this function it is a table, so no Rust
        // reference to it exists.
        Some(unsafe { Self::from_raw(page) })
    }

    /// Returns the pointer to entry `index`.
    #[inline(always)]
    pub(crate) fn entry(self, index: Index) -> EntryPtr {
        // SAFETY: The entry is within the page, by the invariant of `Index`.
        let entry = unsafe { self.0.as_ptr().add(index.raw()) };
        // SAFETY: By the type invariant.
        unsafe { EntryPtr::from_raw(entry) }
    }

    /// Returns the address of the page.
    #[inline(always)]
    pub(crate) fn vaddr(self) -> Vaddr {
        Vaddr::new(self.0.as_ptr() as usize)
    }

    /// Returns the frame of the page.
    #[inline(always)]
    pub(crate) fn pfn(self) -> Pfn {
        address::virt_to_phys(self.vaddr()).pfn()
    }
}

/// A page of the kernel image that is or becomes a page table.
///
/// Context: any, for all methods.
#[repr(C, align(4096))]
pub(crate) struct StaticTable(UnsafeCell<[usize; ENTRIES]>);

const _: () = assert!(size_of::<StaticTable>() == crate::level::PAGE_SIZE);

// SAFETY: Entries are only accessed through `EntryPtr`, which copies them.
unsafe impl Sync for StaticTable {}

impl StaticTable {
    /// Returns a table without entries.
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new([0; ENTRIES]))
    }

    /// Returns the table, by its address in the kernel image.
    pub(crate) fn table(&'static self) -> Table {
        // SAFETY: A static is mapped for good, and no reference to its entries is ever created.
        unsafe { Table::from_raw(self.0.get()) }
    }
}
