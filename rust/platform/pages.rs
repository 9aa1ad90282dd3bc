// SPDX-License-Identifier: GPL-2.0

//! Pages: what `struct page` says about those that hold page tables, and pages of our own.

use crate::addr::{
    Vaddr,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::frame::Pfn;
use crate::platform::{
    direct_of,
    phys,
    ReadMostly,
    Slot, //
};
use core::ptr::NonNull;
use kernel::bindings;

static STRUCT_PAGES_READY: ReadMostly = ReadMostly::new(0);

/// Whether `struct page` may be used.
///
/// Before that all page tables are those of the kernel itself, and Xen knows all of them.
#[inline(always)]
pub(crate) fn struct_pages_ready() -> bool {
    STRUCT_PAGES_READY.get() != 0
}

/// From now on `struct page` may be used.
pub(crate) fn set_struct_pages_ready() {
    STRUCT_PAGES_READY.set(1);
}

/// The `struct page` of a page that holds a page table.
///
/// There is no way to name one before [`struct_pages_ready`]: early code works on frames.
///
/// # Invariants
///
/// Points to the `struct page` of a frame of RAM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TablePage(NonNull<bindings::page>);

impl TablePage {
    /// Returns the page of frame `pfn`, if there are `struct page`s yet.
    #[inline(always)]
    pub(crate) fn of(pfn: Pfn) -> Option<Self> {
        if !struct_pages_ready() {
            return None;
        }
        // SAFETY: Frames that hold page tables are RAM, which has a `struct page`.
        // INVARIANT: As above.
        NonNull::new(unsafe { bindings::xen_pv_mmu_pfn_to_page(pfn.raw()) }).map(Self)
    }

    /// Returns the page that holds the table at `vaddr`, if there are `struct page`s yet.
    #[inline(always)]
    pub(crate) fn at(vaddr: Vaddr) -> Option<Self> {
        if !struct_pages_ready() {
            return None;
        }
        // SAFETY: As in `of()`; tables are addressed through the direct map or the kernel image.
        // INVARIANT: As above.
        NonNull::new(unsafe { bindings::xen_pv_mmu_virt_to_page(vaddr.raw() as *const _) })
            .map(Self)
    }

    /// Takes over a page from C.
    ///
    /// # Safety
    ///
    /// `page` is the `struct page` of a frame of RAM.
    pub(crate) unsafe fn from_raw(page: NonNull<bindings::page>) -> Self {
        // INVARIANT: By the contract of this function.
        Self(page)
    }

    /// Returns the frame.
    pub(crate) fn pfn(self) -> Pfn {
        // SAFETY: By the type invariant.
        Pfn::new(unsafe { bindings::xen_pv_mmu_page_to_pfn(self.0.as_ptr()) })
    }

    /// Returns the address of the page in the direct map.
    pub(crate) fn vaddr(self) -> Vaddr {
        direct_of(self.pfn())
    }

    /// Returns the `struct page`, for calls into C.
    pub(super) fn as_ptr(self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Whether Xen knows the page as a table: it is read-only, and typed or part of a typed tree.
    #[inline(always)]
    pub(crate) fn is_pinned(self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::PagePinned(self.as_ptr()) }
    }

    /// Marks the page as pinned; returns whether it was before.
    pub(crate) fn test_set_pinned(self) -> bool {
        // SAFETY: By the type invariant; the flag is changed atomically.
        unsafe { bindings::TestSetPagePinned(self.as_ptr()) }
    }

    /// Marks the page as not pinned; returns whether it was before.
    pub(crate) fn test_clear_pinned(self) -> bool {
        // SAFETY: By the type invariant; the flag is changed atomically.
        unsafe { bindings::TestClearPagePinned(self.as_ptr()) }
    }

    /// Whether the page was pinned for the sake of a suspend only.
    pub(crate) fn is_save_pinned(self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::PageSavePinned(self.as_ptr()) }
    }

    /// Notes whether the page was pinned for the sake of a suspend only.
    pub(crate) fn set_save_pinned(self, save_pinned: bool) {
        // SAFETY: By the type invariant; the flag is changed atomically.
        unsafe {
            if save_pinned {
                bindings::SetPageSavePinned(self.as_ptr());
            } else {
                bindings::ClearPageSavePinned(self.as_ptr());
            }
        }
    }

    /// Returns the root table for user mode that belongs to this root table, if it has one.
    #[inline(always)]
    pub(crate) fn user_root(self) -> Option<Vaddr> {
        // SAFETY: By the type invariant; the word changes only while a tree is made or freed.
        let word = unsafe { bindings::xen_pv_mmu_pgd_word(self.as_ptr()).read_volatile() };
        (word != 0).then_some(Vaddr::new(word))
    }

    /// Sets or takes away the root table for user mode.
    ///
    /// It has to be taken away before the page is freed: the allocator wants the word back as 0.
    pub(crate) fn set_user_root(self, user_root: Option<Vaddr>) {
        // SAFETY: By the type invariant; the word is free for us in the descriptor of a PGD.
        unsafe {
            bindings::xen_pv_mmu_pgd_word(self.as_ptr())
                .write_volatile(user_root.map_or(0, Vaddr::raw))
        }
    }
}

/// Whether Xen knows the table at `vaddr` as one.
///
/// True for all tables before [`struct_pages_ready`].
#[inline(always)]
pub(crate) fn is_table_pinned(vaddr: Vaddr) -> bool {
    TablePage::at(vaddr).is_none_or(TablePage::is_pinned)
}

/// A page of memory that belongs to us, mapped in the direct map.
///
/// It is freed when dropped; [`Self::leak`] keeps it for good.
///
/// # Invariants
///
/// The address is that of a whole page which nobody else uses.
#[must_use = "the page is freed when this is dropped"]
pub(crate) struct OwnedPage(Vaddr);

impl OwnedPage {
    /// Allocates a page; its contents are undefined.
    ///
    /// Context: may sleep, once the slab allocator is up. Before that a failure panics.
    pub(crate) fn new() -> Option<Self> {
        Self::with_flags(0)
    }

    /// Allocates a page that is filled with zeroes.
    ///
    /// Context: as [`Self::new`].
    pub(crate) fn zeroed() -> Option<Self> {
        Self::with_flags(bindings::__GFP_ZERO)
    }

    fn with_flags(flags: u32) -> Option<Self> {
        // SAFETY: Only reads the state of the allocator.
        let page = if unsafe { bindings::slab_is_available() } {
            // SAFETY: The flags allow to sleep, which the callers' context does.
            unsafe { bindings::get_free_pages_noprof(bindings::GFP_KERNEL | flags, 0) }
        } else {
            alloc_early()
        };
        // INVARIANT: A page fresh from the allocator is nobody else's.
        (page != 0).then_some(Self(Vaddr::new(page)))
    }

    /// Returns the frame.
    pub(crate) fn pfn(&self) -> Pfn {
        phys(self.0).pfn()
    }

    /// Sets each of the page's words.
    pub(crate) fn fill(&mut self, word: impl Fn(usize) -> usize) {
        let words = self.0.raw() as *mut usize;
        for index in 0..ENTRIES {
            // SAFETY: By the type invariant the page is ours, and the word is within it.
            unsafe { words.add(index).write(word(index)) };
        }
    }

    /// Copies the page at `source`.
    pub(crate) fn copy_from(&mut self, source: Vaddr) {
        // SAFETY: By the type invariant the destination is ours. Callers name pages of the p2m list
        // or of the tables that map it, which stay mapped; others may only store single words.
        unsafe {
            core::ptr::copy_nonoverlapping(
                source.page_start().raw() as *const u8,
                self.0.raw() as *mut u8,
                PAGE_SIZE,
            )
        }
    }

    /// Returns the place of entry `index`, for a page that becomes a page table.
    pub(crate) fn slot(&self, index: usize) -> Slot {
        // SAFETY: The page stays mapped while `self` exists, or for good once it is leaked.
        unsafe { Slot::in_table(self.0, index) }
    }

    /// Keeps the page for good and returns its address.
    pub(crate) fn leak(self) -> Vaddr {
        let vaddr = self.0;
        core::mem::forget(self);
        vaddr
    }

    /// Takes back a page that was kept with [`Self::leak`].
    ///
    /// # Safety
    ///
    /// `vaddr` came from [`Self::leak`] and nobody uses the page any more.
    pub(crate) unsafe fn from_leaked(vaddr: Vaddr) -> Self {
        // INVARIANT: By the contract of this function.
        Self(vaddr)
    }
}

/// Allocates a page filled with zeroes before there is a page allocator, or panics.
#[link_section = ".ref.text"]
#[inline(never)]
fn alloc_early() -> usize {
    // SAFETY: Memblock is there as long as the slab allocator is not.
    unsafe { bindings::xen_pv_mmu_memblock_alloc_page() as usize }
}

/// Frees a page of [`alloc_early`].
#[link_section = ".ref.text"]
#[inline(never)]
fn free_early(page: Vaddr) {
    // SAFETY: As in `alloc_early()`, where the page came from.
    unsafe { bindings::memblock_free(page.raw() as *mut _, PAGE_SIZE) }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        // It is freed to where it came from: no page allocated early is dropped late.
        // SAFETY: Only reads the state of the allocator.
        if unsafe { bindings::slab_is_available() } {
            // SAFETY: By the type invariant the page is ours.
            unsafe { bindings::free_pages(self.0.raw(), 0) }
        } else {
            free_early(self.0)
        }
    }
}

/// Fills whole pages of the direct map with zeroes.
///
/// # Safety
///
/// The pages from `start` on belong to the caller.
pub(crate) unsafe fn clear_pages(start: Vaddr, pages: usize) {
    // SAFETY: By the contract of this function.
    unsafe { core::ptr::write_bytes(start.raw() as *mut u8, 0, pages * PAGE_SIZE) }
}

/// An array of words in whole pages of memory.
///
/// # Invariants
///
/// `start` is the address of `1 << order` pages that nobody else uses.
pub(crate) struct WordArray {
    start: NonNull<usize>,
    order: u32,
}

// SAFETY: The memory is owned.
unsafe impl Send for WordArray {}

impl WordArray {
    /// Allocates an array of at least `count` words, filled with zeroes.
    ///
    /// Context: any; does not sleep.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let pages = crate::addr::pages_for(count * size_of::<usize>());
        let order = pages.next_power_of_two().trailing_zeros();
        let flags = bindings::GFP_ATOMIC | bindings::__GFP_ZERO | bindings::__GFP_NOWARN;
        // SAFETY: Only reads the state of the allocator.
        if !unsafe { bindings::slab_is_available() } {
            return None;
        }
        // SAFETY: The flags do not allow to sleep.
        let start = unsafe { bindings::get_free_pages_noprof(flags, order) };
        // INVARIANT: Fresh from the allocator.
        NonNull::new(start as *mut usize).map(|start| Self { start, order })
    }

    /// Returns the words.
    pub(crate) fn words(&mut self) -> &mut [usize] {
        // SAFETY: By the type invariant the pages are ours, and any contents are valid words.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), ENTRIES << self.order) }
    }
}

impl Drop for WordArray {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::free_pages(self.start.as_ptr() as usize, self.order) }
    }
}
