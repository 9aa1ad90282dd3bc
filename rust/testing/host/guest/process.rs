// SPDX-License-Identifier: GPL-2.0-only

//! Processes: what system calls and page faults do to page tables.

mod change;
mod copy;
mod fault;
mod zap;

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::guest::{
    generic,
    ops,
    SharedPages, //
};
use crate::level::{
    Index,
    Level,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context::{
    IrqsOff,
    PreemptOff, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::host;
use crate::platform::paging::pages::{
    self,
    OwnedPage, //
};
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::FlushRange;
use crate::{
    multicall,
    pin,
    ptpage,
    tlb, //
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Size of a page.
pub(crate) const PAGE: usize = PAGE_SIZE;

/// Number of pages that a process can map.
pub(crate) const USER_PAGES: usize = (1 << 47) / PAGE;

/// What a process may do with a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Nothing (`PROT_NONE`).
    None,
    /// Read.
    Read,
    /// Read and write.
    Write,
}

impl Access {
    /// Returns the protection of a page with this access that has not been written to.
    fn protection(self) -> Protection {
        /// `_PAGE_PROTNONE`, which is the global bit of a present entry.
        const PROTECTED: usize = 1 << 8;

        let used = bits::PRESENT | bits::USER | bits::ACCESSED | bits::NX;
        Protection::from_raw(match self {
            Access::None => PROTECTED | bits::ACCESSED,
            Access::Read => used,
            Access::Write => used | bits::RW,
        })
    }
}

/// A mapping.
#[derive(Clone, Copy, Debug)]
struct Area {
    /// The number of the page after the last.
    end: usize,
    access: Access,
    /// For a shared mapping of the file: which of its pages is the first.
    file: Option<usize>,
}

/// An address space with tasks in it.
///
/// Addresses are multiples of [`PAGE`], sizes are in pages. A process has to end with
/// [`Self::exit`].
#[must_use = "a process has to exit"]
pub(crate) struct Process {
    mm: Mm,
    /// The mappings, by number of the first page.
    areas: BTreeMap<usize, Area>,
    pages: SharedPages,
}

/// The error of a failed allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfMemory;

/// Returns the entry for a page of the process, as generic code makes it.
fn entry_for(page: Pfn, access: Access) -> MachineEntry {
    if access == Access::None {
        // Frames of entries that are not present are inverted.
        let word = !page.paddr().raw() & bits::FRAME;
        return MachineEntry::from_raw(word | Access::None.protection().raw());
    }
    ops::make_pte(PseudoEntry::new(page, access.protection()))
}

/// Returns the page in an entry, accessible or not.
fn page_in(entry: MachineEntry) -> Option<Pfn> {
    if entry.is_none() {
        return None;
    }
    if entry.is_present() {
        return Some(generic::page_of(entry));
    }
    Some(Pfn::new((!entry.raw() & bits::FRAME) >> 12))
}

fn is_dirty(entry: MachineEntry) -> bool {
    entry.raw() & bits::DIRTY != 0
}

impl Process {
    /// Makes an address space without mappings (`mm_init()`), with one thread.
    pub(crate) fn new(pages: SharedPages) -> Option<Self> {
        let mut root = OwnedPage::zeroed(&mut MaySleep::here())?;
        for index in Index::wrapping(ENTRIES / 2).and_behind() {
            root.set_entry(index, static_tables::root().entry(index).read());
        }
        let mm = Mm::create(root.leak());
        let process = Self {
            mm,
            areas: BTreeMap::new(),
            pages,
        };
        if ptpage::create_user_root(mm, &mut MaySleep::here()).is_err() {
            process.free_root();
            return None;
        }
        Some(process)
    }

    /// Returns the address space.
    pub(crate) fn mm(&self) -> Mm {
        self.mm
    }

    /// Uses the address space for the first time (`enter_mmap`).
    pub(crate) fn enter(&self) {
        pin::enter(self.mm, CallContext::here());
    }

    /// Runs a thread of the process on this CPU: one that is not running, or else the one of
    /// another CPU.
    pub(crate) fn run(&self) {
        switch(self.mm, false);
        self.mm.stop_threads_beyond_users();
    }

    /// Creates another thread, which does not run yet.
    pub(crate) fn add_thread(&self) {
        self.mm.add_user();
    }

    /// Ends a thread, if it is not the last; the CPU of a running one switches to a kernel thread.
    pub(crate) fn end_thread(&self) {
        if self.mm.nr_users() > 1 {
            self.mm.drop_user();
            self.mm.stop_threads_beyond_users();
        }
    }

    /// Maps `pages` pages at `start`; a page is allocated when it is touched.
    pub(crate) fn map(&mut self, start: usize, pages: usize, access: Access) {
        self.map_area(start, pages, access, None);
    }

    /// Maps `pages` pages of the file at `start`, from page `number` on, as a shared mapping.
    pub(crate) fn map_file(&mut self, start: usize, pages: usize, access: Access, number: usize) {
        self.map_area(start, pages, access, Some(number));
    }

    fn map_area(&mut self, start: usize, pages: usize, access: Access, file: Option<usize>) {
        let first = start / PAGE;
        let end = first + pages;
        self.carve(first..end);
        self.areas.insert(first, Area { end, access, file });
    }

    /// Returns the mapping of page number `page`, with its first page.
    fn area_at(&self, page: usize) -> Option<(usize, Area)> {
        let (start, area) = self.areas.range(..=page).next_back()?;
        (page < area.end).then_some((*start, *area))
    }

    /// Returns which page of the file is mapped at page number `page`, if one is.
    fn file_page_at(&self, page: usize) -> Option<usize> {
        let (start, area) = self.area_at(page)?;
        area.file.map(|number| number + page - start)
    }

    /// Splits mappings at the ends of a range; returns those within, as pages.
    fn split_at(&mut self, range: &Range<usize>) -> Vec<(usize, usize)> {
        for cut in [range.start, range.end] {
            let before = self.areas.range_mut(..cut).next_back();
            if let Some((start, area)) = before.filter(|(_, area)| area.end > cut) {
                let rest = Area {
                    file: area.file.map(|number| number + cut - start),
                    ..*area
                };
                area.end = cut;
                self.areas.insert(cut, rest);
            }
        }
        let within = self.areas.range(range.start..range.end);
        within.map(|(start, area)| (*start, area.end)).collect()
    }

    /// Calls `visit` with each table of level 1 for a range of pages, and those of the pages that
    /// are in it, in lazy MMU mode.
    fn for_each_table(&self, range: Range<usize>, mut visit: impl FnMut(Range<usize>, Table)) {
        let mut page = range.start;
        while page < range.end {
            let end = range.end.min((page / ENTRIES + 1) * ENTRIES);
            let first = generic::find(self.mm, Level::L1, Vaddr::new(page * PAGE));
            if let Some(first) = first {
                ops::in_lazy_mmu(|| visit(page..end, first.table()));
            }
            page = end;
        }
    }

    /// Flushes the TLB entries of the process (`flush_tlb_mm_range()`).
    fn flush(&self, range: FlushRange) {
        let users = self.mm.loaded_on();
        let nr_cpus: u32 = users.iter().map(|word| word.count_ones()).sum();
        if nr_cpus == 0 {
            return;
        }
        let _preempt = PreemptOff::new(CallContext::here());
        match (nr_cpus == 1 && Mm::loaded() == self.mm, range) {
            (true, FlushRange::Page(at)) => tlb::flush_page_local(at, CallContext::here()),
            (true, FlushRange::All) => tlb::flush_local(CallContext::here()),
            (false, range) => tlb::flush_vcpus(users.into_iter(), range, CallContext::here()),
        }
    }

    /// Ends the process. CPUs that ran it last switch to kernel threads.
    pub(crate) fn exit(self) {
        self.exit_with(|| ());
    }

    /// As [`Self::exit`]; runs `midway` after the tree is unpinned.
    pub(crate) fn exit_with(mut self, midway: impl FnOnce()) {
        self.mm.end_users();
        pin::exit(self.mm, &mut MaySleep::here());
        midway();
        self.carve(0..USER_PAGES);
        self.free_root();
    }

    fn free_root(&self) {
        ptpage::free_user_root(self.mm.root());
        let root = self.mm.destroy();
        pages::free_page(root.pfn());
    }
}

/// Switches this CPU to `mm`, between the two hooks of a context switch.
fn switch(mm: Mm, is_borrowed: bool) {
    let host = host();
    if Mm::loaded() == mm {
        mm.note_loaded(is_borrowed);
        return;
    }
    let _irqs = IrqsOff::new();
    assert!(
        multicall::is_queue_empty(),
        "tasks are switched with calls queued"
    );
    host.with_state(|state| state.lazy_cpu = true);
    mm.note_loaded(is_borrowed);
    ops::write_cr3(mm.root());
    multicall::flush();
    host.with_state(|state| state.lazy_cpu = false);
}
