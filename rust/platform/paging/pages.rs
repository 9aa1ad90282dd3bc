// SPDX-License-Identifier: GPL-2.0-only

//! Pages: the `struct page` of those that hold page tables, and pages that the backend owns.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::{
    Index,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::diag::fault::{
    self,
    Fault, //
};
use crate::platform::early::phase::RunTime;
use crate::platform::kernel::address;
use crate::platform::paging::region::Region;
use crate::platform::paging::table::Table;
use core::ptr::NonNull;
use kernel::bindings;

/// The `struct page` of a page that holds a page table.
///
/// None can be created before [`RunTime`], so early code works on frames.
///
/// Context: any, for methods that do not say otherwise.
///
/// # Invariants
///
/// Points to the `struct page` of a frame of RAM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TablePage(NonNull<bindings::page>);

impl TablePage {
    /// Returns the page of frame `pfn`.
    #[inline(always)]
    pub(crate) fn of(_: RunTime, pfn: Pfn) -> Self {
        // SAFETY: Frames that hold page tables are RAM, which has a `struct page` at run time.
        // INVARIANT: As above.
        Self(unsafe { NonNull::new_unchecked(bindings::xen_pv_mmu_pfn_to_page(pfn.raw())) })
    }

    /// Returns the page that holds `table`.
    #[inline(always)]
    pub(crate) fn at(_: RunTime, table: Table) -> Self {
        let table = table.vaddr().raw() as *const _;
        // SAFETY: As in `of()`; tables are addressed through the direct map or the kernel image.
        // INVARIANT: As above.
        Self(unsafe { NonNull::new_unchecked(bindings::xen_pv_mmu_virt_to_page(table)) })
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

    /// Returns the page as a table, by its address in the direct map.
    pub(crate) fn table(self) -> Table {
        let page = address::pfn_to_virt(self.pfn()).raw() as *mut usize;
        // SAFETY: By the type invariant the page is RAM, which stays mapped, and holds a table.
        unsafe { Table::from_raw(page) }
    }

    /// Returns the `struct page`, for calls into C.
    pub(in crate::platform) fn as_ptr(self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Whether Xen knows the page as a table: it is read-only, and pinned or part of a pinned tree.
    ///
    /// Context: any; the result holds while the caller has the lock of the table.
    #[inline(always)]
    pub(crate) fn is_pinned(self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::PagePinned(self.as_ptr()) }
    }

    /// Marks the page as pinned; returns whether it was before.
    ///
    /// Context: the caller holds the lock of the table, or nobody else uses the table.
    pub(crate) fn test_set_pinned(self) -> bool {
        // SAFETY: By the type invariant; the flag is changed atomically.
        unsafe { bindings::TestSetPagePinned(self.as_ptr()) }
    }

    /// Marks the page as not pinned; returns whether it was before.
    ///
    /// Context: as [`Self::test_set_pinned`].
    pub(crate) fn test_clear_pinned(self) -> bool {
        // SAFETY: By the type invariant; the flag is changed atomically.
        unsafe { bindings::TestClearPagePinned(self.as_ptr()) }
    }

    /// Whether the page was pinned only for a suspend.
    ///
    /// Context: around a suspend, while no other task runs.
    pub(crate) fn is_save_pinned(self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::PageSavePinned(self.as_ptr()) }
    }

    /// Records whether the page was pinned only for a suspend.
    ///
    /// Context: around a suspend, while no other task runs.
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

    /// Returns the word in the descriptor of a root table that the backend may use.
    #[inline(always)]
    fn pgd_word(self) -> *mut usize {
        // SAFETY: By the type invariant.
        unsafe { bindings::xen_pv_mmu_pgd_word(self.as_ptr()) }
    }

    /// Reads the word in the descriptor of a root table that the backend may use.
    ///
    /// Context: any; the tree exists meanwhile.
    ///
    /// # Safety
    ///
    /// The page holds a root table, and nobody writes the word meanwhile.
    #[inline(always)]
    pub(in crate::platform) unsafe fn read_pgd_word(self) -> usize {
        // SAFETY: The word is part of the `struct page`. By the contract of this function nobody
        // writes it.
        unsafe { self.pgd_word().read_volatile() }
    }

    /// Writes the word that [`Self::read_pgd_word`] reads.
    ///
    /// Context: the tree is being created or freed, and nobody else uses it.
    ///
    /// # Safety
    ///
    /// The page holds a root table, and nobody else uses the word meanwhile.
    #[inline(always)]
    pub(in crate::platform) unsafe fn write_pgd_word(self, word: usize) {
        // SAFETY: The word is part of the `struct page`. By the contract of this function it is the
        // backend's, and nobody else uses it.
        unsafe { self.pgd_word().write_volatile(word) }
    }
}

/// A page of memory that the backend owns, mapped in the direct map.
///
/// Dropping it frees the page; [`Self::leak`] keeps the page for good.
///
/// Context: any, for methods that do not say otherwise; any but NMIs to drop it.
///
/// # Invariants
///
/// The address is the start of a page that nobody else uses.
#[must_use = "the page is freed when this is dropped"]
pub(crate) struct OwnedPage(Vaddr);

impl OwnedPage {
    /// Allocates a page, whose contents are undefined; returns `None` if there is no memory.
    ///
    /// Context: may sleep, once the slab allocator is up. Before that a failure panics.
    pub(crate) fn new(sleep: &mut MaySleep) -> Option<Self> {
        Self::with_flags(0, sleep)
    }

    /// Allocates a page that is filled with zeroes; returns `None` if there is no memory.
    ///
    /// Context: as [`Self::new`].
    pub(crate) fn zeroed(sleep: &mut MaySleep) -> Option<Self> {
        Self::with_flags(bindings::__GFP_ZERO, sleep)
    }

    fn with_flags(flags: u32, _: &mut MaySleep) -> Option<Self> {
        fault::inject(Fault::Alloc).ok()?;
        // SAFETY: Only reads the state of the allocator.
        let page = if unsafe { bindings::slab_is_available() } {
            // SAFETY: The allocation may sleep, which the invariant of `MaySleep` allows.
            fault::paused(|| unsafe {
                bindings::get_free_pages_noprof(bindings::GFP_KERNEL | flags, 0)
            })
        } else {
            alloc_early()
        };
        // INVARIANT: The allocator has just returned the page, so nobody else uses it.
        (page != 0).then_some(Self(Vaddr::new(page)))
    }

    /// Returns the frame.
    pub(crate) fn pfn(&self) -> Pfn {
        address::virt_to_phys(self.0).pfn()
    }

    /// Sets entry `index` of a page that becomes a page table.
    pub(crate) fn set_entry(&mut self, index: Index, entry: MachineEntry) {
        let entries = self.0.raw() as *mut usize;
        // SAFETY: By the type invariants nobody else uses the page, and the word is within it.
        unsafe { entries.add(index.raw()).write(entry.raw()) };
    }

    /// Copies the entries of `table`.
    pub(crate) fn copy_from(&mut self, table: Table) {
        for index in Index::all() {
            self.set_entry(index, table.entry(index).read());
        }
    }

    /// Sets all words of the page; `word` returns the word of an index.
    pub(crate) fn fill(&mut self, word: impl Fn(usize) -> usize) {
        let words = self.0.raw() as *mut usize;
        for index in 0..ENTRIES {
            // SAFETY: By the type invariant nobody else uses the page, and the word is within it.
            unsafe { words.add(index).write(word(index)) };
        }
    }

    /// Keeps the page for good, as a table or a page of the p2m list.
    pub(crate) fn leak(self) -> Table {
        let page = self.0.raw() as *mut usize;
        core::mem::forget(self);
        // SAFETY: The page is RAM, stays mapped in the direct map, and by the type invariant nobody
        // else has a reference to it.
        unsafe { Table::from_raw(page) }
    }

    /// Takes back a page that was kept with [`Self::leak`].
    ///
    /// # Safety
    ///
    /// `table` came from [`Self::leak`], and nobody uses the page any more.
    pub(in crate::platform) unsafe fn from_leaked(table: Table) -> Self {
        // INVARIANT: By the contract of this function.
        Self(table.vaddr())
    }
}

/// Allocates a page that is filled with zeroes before there is a page allocator, or panics.
#[link_section = ".ref.text"]
#[inline(never)]
fn alloc_early() -> usize {
    // SAFETY: The caller has checked that the slab allocator is not up. Until then memblock is.
    unsafe { bindings::xen_pv_mmu_memblock_alloc_page() as usize }
}

/// Frees a page from [`alloc_early`].
#[link_section = ".ref.text"]
#[inline(never)]
fn free_early(page: Vaddr) {
    // SAFETY: As in `alloc_early()`, which allocated the page.
    unsafe { bindings::memblock_free(page.raw() as *mut _, PAGE_SIZE) }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        // The page is freed to its own allocator: no page that was allocated early is dropped late.
        // SAFETY: Only reads the state of the allocator.
        if unsafe { bindings::slab_is_available() } {
            // SAFETY: By the type invariant nobody else uses the page.
            unsafe { bindings::free_pages(self.0.raw(), 0) }
        } else {
            free_early(self.0)
        }
    }
}

impl Region<'_> {
    /// Fills the region with zeroes.
    ///
    /// Context: any.
    pub(crate) fn clear(&mut self) {
        let start = address::phys_to_virt(self.start()).raw() as *mut u8;
        // SAFETY: By the type invariant the region is mapped, and nobody else accesses it.
        unsafe { core::ptr::write_bytes(start, 0, PAGE_SIZE << self.order()) }
    }
}

/// An array of words in whole pages of memory.
///
/// Context: any but NMIs, for all methods and to drop it.
///
/// # Invariants
///
/// `start` is the address of `1 << order` pages that nobody else uses.
pub(crate) struct WordArray {
    start: NonNull<usize>,
    order: u32,
}

// SAFETY: By the type invariant nobody else uses the memory, which any CPU may access and free.
unsafe impl Send for WordArray {}

impl WordArray {
    /// Allocates an array of at least `count` words, filled with zeroes; returns `None` if there is
    /// no memory, or no page allocator yet.
    ///
    /// Context: any; does not sleep.
    pub(crate) fn new(count: usize) -> Option<Self> {
        fault::inject(Fault::Alloc).ok()?;
        let pages = crate::level::pages_for(count * size_of::<usize>());
        let order = pages.next_power_of_two().trailing_zeros();
        let flags = bindings::GFP_ATOMIC | bindings::__GFP_ZERO | bindings::__GFP_NOWARN;
        // SAFETY: Only reads the state of the allocator.
        if !unsafe { bindings::slab_is_available() } {
            return None;
        }
        // SAFETY: With these flags the allocation does not sleep, so any context may call it.
        let start = unsafe { bindings::get_free_pages_noprof(flags, order) };
        // INVARIANT: The allocator has just returned the pages, so nobody else uses them.
        NonNull::new(start as *mut usize).map(|start| Self { start, order })
    }

    /// Returns the words.
    pub(crate) fn words(&mut self) -> &mut [usize] {
        // SAFETY: By the type invariant nobody else uses the pages. They were filled with zeroes,
        // so all words are initialised.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), ENTRIES << self.order) }
    }
}

impl Drop for WordArray {
    fn drop(&mut self) {
        // SAFETY: By the type invariant nobody else uses the pages.
        unsafe { bindings::free_pages(self.start.as_ptr() as usize, self.order) }
    }
}

/// Memory that tests exchange.
///
/// Context: as for [`WordArray`], for all methods.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) struct OwnedRegion(WordArray);

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
impl OwnedRegion {
    /// Allocates `1 << order` pages; returns `None` if there is no memory.
    pub(crate) fn new(order: u32) -> Option<Self> {
        WordArray::new(ENTRIES << order).map(Self)
    }

    /// Returns the region, whose contents are given up.
    pub(crate) fn region(&mut self) -> Region<'_> {
        let start = address::virt_to_phys(Vaddr::new(self.0.start.as_ptr() as usize));
        // SAFETY: By the type invariant of `WordArray` nobody else uses the pages, and the result
        // borrows it. The pages are mapped in the direct map.
        unsafe { Region::new(start, self.0.order) }
    }

    /// Writes all words of the region; returns how many do not hold the written value.
    pub(crate) fn nr_lost_words(&mut self) -> usize {
        let words = self.0.words();
        for (index, word) in words.iter_mut().enumerate() {
            *word = index ^ 0x5a5a;
        }
        let lost = |(index, word): &(usize, &usize)| **word != index ^ 0x5a5a;
        words.iter().enumerate().filter(lost).count()
    }
}

/// Memory in the vmalloc area whose page-table entries tests may change.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) struct ScratchMemory(kernel::alloc::VVec<u8>);

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
impl ScratchMemory {
    /// Allocates and maps `pages` pages; returns `None` if there is no memory.
    ///
    /// Context: may sleep.
    pub(crate) fn new(pages: usize) -> Option<Self> {
        let flags = kernel::alloc::flags::GFP_KERNEL;
        let memory = kernel::alloc::VVec::with_capacity(pages * PAGE_SIZE, flags);
        memory.ok().map(Self)
    }

    /// Returns the first address.
    ///
    /// Context: any.
    pub(crate) fn start(&self) -> Vaddr {
        Vaddr::new(self.0.as_ptr() as usize)
    }
}
