// SPDX-License-Identifier: GPL-2.0-only

//! Pages: the state in `struct page` of those that hold page tables, and pages that the backend
//! owns.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    MachineEntry,
    PseudoEntry, //
};
use crate::guest::{
    generic, //
    ops,
};
use crate::level::{
    Index,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::early::phase::RunTime;
use crate::platform::kernel::address::{
    self,
    VMALLOC_START, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::host;
use crate::platform::machine::memory::{
    load,
    store,
    store_page, //
};
use crate::platform::paging::entry_ptr;
use crate::platform::paging::region::Region;
use crate::platform::paging::table::Table;

/// The state of a table in `struct page`.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct PageState {
    /// Whether Xen knows the page as a table.
    pub(crate) is_pinned: bool,
    /// Whether it was pinned only for a suspend.
    pub(crate) is_save_pinned: bool,
    /// Whether its lock is held.
    pub(crate) is_locked: bool,
    /// The word of a root table: the address of its user root, or 0.
    pub(crate) pgd_word: usize,
}

/// The `struct page` of a page that holds a page table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TablePage(Pfn);

impl TablePage {
    /// Returns the page of frame `pfn`.
    pub(crate) fn of(_: RunTime, pfn: Pfn) -> Self {
        Self(pfn)
    }

    /// Returns the page that holds `table`.
    pub(crate) fn at(now: RunTime, table: Table) -> Self {
        Self::of(now, table.pfn())
    }

    /// Returns the frame.
    pub(crate) fn pfn(self) -> Pfn {
        self.0
    }

    /// Reads or changes the state of the page.
    pub(in crate::platform) fn with_state<R>(self, section: impl FnOnce(&mut PageState) -> R) -> R {
        section(host().pages.borrow_mut().entry(self.0).or_default())
    }

    /// Whether Xen knows the page as a table: it is read-only, and typed or part of a typed tree.
    pub(crate) fn is_pinned(self) -> bool {
        self.with_state(|state| state.is_pinned)
    }

    /// Marks the page as pinned; returns whether it was before.
    pub(crate) fn test_set_pinned(self) -> bool {
        self.with_state(|state| std::mem::replace(&mut state.is_pinned, true))
    }

    /// Marks the page as not pinned; returns whether it was before.
    pub(crate) fn test_clear_pinned(self) -> bool {
        self.with_state(|state| std::mem::replace(&mut state.is_pinned, false))
    }

    /// Whether the page was pinned only for a suspend.
    pub(crate) fn is_save_pinned(self) -> bool {
        self.with_state(|state| state.is_save_pinned)
    }

    /// Sets whether the page was pinned only for a suspend.
    pub(crate) fn set_save_pinned(self, save_pinned: bool) {
        self.with_state(|state| state.is_save_pinned = save_pinned);
    }

    /// Reads the word in the descriptor of a root table that the backend may use.
    ///
    /// # Safety
    ///
    /// None here: there is such a word for each page.
    pub(in crate::platform) unsafe fn read_pgd_word(self) -> usize {
        self.with_state(|state| state.pgd_word)
    }

    /// Writes the word that [`Self::read_pgd_word`] reads.
    ///
    /// # Safety
    ///
    /// None here: a second user root fails the test.
    pub(in crate::platform) unsafe fn write_pgd_word(self, word: usize) {
        let before = self.with_state(|state| std::mem::replace(&mut state.pgd_word, word));
        assert!(before == 0 || word == 0, "a root has two user roots");
    }
}

/// A page of memory that the backend owns, mapped in the direct map.
#[must_use = "the page is freed when this is dropped"]
#[derive(Debug)]
pub(crate) struct OwnedPage(Pfn);

impl OwnedPage {
    /// Allocates a page; its contents are undefined.
    #[track_caller]
    pub(crate) fn new(_: &mut MaySleep) -> Option<Self> {
        let host = host();
        host.step();
        if host.pool.borrow().is_up() {
            host.assert_may_sleep();
        }
        let page = host.pool.borrow_mut().take();
        if page.is_none() && !host.pool.borrow().is_up() {
            panic!("out of memory at start of day");
        }
        page.map(Self)
    }

    /// Allocates a page that is filled with zeroes.
    #[track_caller]
    pub(crate) fn zeroed(sleep: &mut MaySleep) -> Option<Self> {
        let mut page = Self::new(sleep)?;
        page.fill(|_| 0);
        Some(page)
    }

    /// Returns the frame.
    pub(crate) fn pfn(&self) -> Pfn {
        self.0
    }

    /// Sets entry `index` of a page that becomes a page table.
    pub(crate) fn set_entry(&mut self, index: Index, entry: MachineEntry) {
        let at = address::pfn_to_virt(self.0).add(index.raw() * size_of::<usize>());
        store(at, entry.raw());
    }

    /// Copies the entries of `table`.
    pub(crate) fn copy_from(&mut self, table: Table) {
        for index in Index::all() {
            let at = table.entry(index).vaddr();
            self.set_entry(index, MachineEntry::from_raw(load(at)));
        }
    }

    /// Sets each of the page's words.
    pub(crate) fn fill(&mut self, word: impl Fn(usize) -> usize) {
        store_page(address::pfn_to_virt(self.0), word);
    }

    /// Keeps the page for good, as a table or a page of the p2m list.
    pub(crate) fn leak(self) -> Table {
        let pfn = self.0;
        std::mem::forget(self);
        Table::at(address::pfn_to_virt(pfn))
    }

    /// Takes back a page that was kept with [`Self::leak`].
    ///
    /// # Safety
    ///
    /// None here: freeing a page that is still a table fails the test.
    pub(in crate::platform) unsafe fn from_leaked(table: Table) -> Self {
        Self(table.pfn())
    }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            free_page(self.0);
        }
    }
}

/// Frees a page, which must be an ordinary one.
#[track_caller]
pub(crate) fn free_page(pfn: Pfn) {
    let host = host();
    let state = host.pages.borrow_mut().remove(&pfn).unwrap_or_default();
    assert!(
        !state.is_pinned && !state.is_locked && state.pgd_word == 0,
        "a page is freed as {state:?}"
    );
    let leaf =
        entry_ptr::lookup_address(address::pfn_to_virt(pfn)).map(|(ptr, _)| ptr.read().raw());
    let is_writable = leaf.is_some_and(|leaf| leaf & 3 == 3);
    assert!(is_writable, "{pfn:x?} is freed, mapped as {leaf:x?}");
    host.pool.borrow_mut().give(pfn, 1);
}

impl Region<'_> {
    /// Names the region of `1 << order` pages from `start` on.
    pub(crate) fn at(start: Paddr, order: u32) -> Self {
        // SAFETY: None is needed: an access to memory that is not there fails the test.
        unsafe { Self::new(start, order) }
    }

    /// Fills the region with zeroes.
    pub(crate) fn clear(&mut self) {
        for page in 0..1 << self.order() {
            store_page(
                address::phys_to_virt(self.start()).add(page * PAGE_SIZE),
                |_| 0,
            );
        }
    }
}

/// Memory that tests exchange.
pub(crate) struct OwnedRegion {
    first: Pfn,
    order: u32,
}

impl OwnedRegion {
    /// Allocates `1 << order` pages.
    pub(crate) fn new(order: u32) -> Option<Self> {
        let first = host().pool.borrow_mut().take_run(order)?;
        Some(Self { first, order })
    }

    /// Gives up the contents.
    pub(crate) fn region(&mut self) -> Region<'_> {
        Region::at(self.first.paddr(), self.order)
    }

    /// Fills the region, and returns how many words do not hold what was written.
    pub(crate) fn nr_lost_words(&mut self) -> usize {
        let start = address::pfn_to_virt(self.first);
        let words = (0..ENTRIES << self.order).map(|index| (start.add(index * 8), index ^ 0x5a5a));
        for (at, word) in words.clone() {
            store(at, word);
        }
        words.filter(|(at, word)| load(*at) != *word).count()
    }
}

impl Drop for OwnedRegion {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            (0..1 << self.order).for_each(|page| free_page(self.first.add(page)));
        }
    }
}

/// Memory in the vmalloc area whose entries tests may change.
pub(crate) struct ScratchMemory(Vec<Pfn>);

impl ScratchMemory {
    fn address(page: usize) -> Vaddr {
        // After the p2m list.
        VMALLOC_START.add((1 << 40) + page * PAGE_SIZE)
    }

    /// Allocates and maps `pages` pages.
    pub(crate) fn new(pages: usize) -> Option<Self> {
        let mut memory = Vec::new();
        for page in 0..pages {
            let pfn = OwnedPage::zeroed(&mut MaySleep::here())?.leak().pfn();
            let ptr = generic::level1_entry(Mm::kernel(), Self::address(page))?;
            let entry = PseudoEntry::new(pfn, address::kernel_rw());
            ops::set_pte(ptr, ops::make_pte(entry));
            memory.push(pfn);
        }
        Some(Self(memory))
    }

    /// Returns where it begins.
    pub(crate) fn start(&self) -> Vaddr {
        Self::address(0)
    }
}

impl Drop for ScratchMemory {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for (page, pfn) in self.0.iter().enumerate() {
            if let Some(ptr) = generic::level1_entry(Mm::kernel(), Self::address(page)) {
                ops::set_pte(ptr, MachineEntry::EMPTY);
            }
            free_page(*pfn);
        }
        crate::tlb::flush_all(CallContext::here());
    }
}

/// An array of words.
pub(crate) struct WordArray(Vec<usize>);

impl WordArray {
    /// Allocates an array of at least `count` words, filled with zeroes.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let host = host();
        let mut pool = host.pool.borrow_mut();
        let is_enough = pool.is_up() && !pool.is_short();
        is_enough.then(|| Self(vec![0; count]))
    }

    /// Returns the words.
    pub(crate) fn words(&mut self) -> &mut [usize] {
        &mut self.0
    }
}

/// Returns the page of the direct map for a page of the kernel image.
pub(crate) fn alias_of(table: Table) -> Table {
    Table::at(address::phys_to_virt(address::virt_to_phys(table.vaddr())))
}
