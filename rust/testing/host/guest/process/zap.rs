// SPDX-License-Identifier: GPL-2.0-only

//! Removing mappings.

use super::{
    is_dirty,
    page_in,
    Process,
    PAGE, //
};
use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::guest::pages::FOLIO;
use crate::guest::{
    generic, //
    ops,
};
use crate::level::{
    Index,
    Level, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::xen::abi::FlushRange;
use std::ops::Range;

/// An entry to be cleared.
struct Going {
    page: usize,
    ptr: EntryPtr,
    pfn: Pfn,
    /// The page of the file that it maps, if any.
    file: Option<usize>,
}

impl Going {
    /// Whether generic code clears both in one go: neighbours of one folio.
    fn goes_with(&self, next: &Self) -> bool {
        let folio = |going: &Self| going.file.map(|number| number / FOLIO);
        self.page + 1 == next.page && folio(self) == folio(next)
    }
}

impl Process {
    /// Unmaps `pages` pages at `start`.
    pub(crate) fn unmap(&mut self, start: usize, pages: usize) {
        let first = start / PAGE;
        self.carve(first..first + pages);
    }

    /// Removes all mappings in a range of pages.
    pub(super) fn carve(&mut self, range: Range<usize>) {
        let pieces = self.split_at(&range);
        for (start, end) in &pieces {
            self.zap(*start..*end);
            self.areas.remove(start);
        }
        self.free_tables(&pieces);
    }

    /// Clears the entries of a range and frees the pages (`zap_pte_range()`).
    fn zap(&mut self, range: Range<usize>) {
        let mut anonymous = Vec::new();
        self.for_each_table(range, |pages, table| {
            let going = pages.filter_map(|page| {
                let ptr = table.entry(Index::wrapping(page));
                page_in(ptr.read()).map(|pfn| Going {
                    page,
                    ptr,
                    pfn,
                    file: self.file_page_at(page),
                })
            });
            let going: Vec<_> = going.collect();
            for run in going.chunk_by(Going::goes_with) {
                self.zap_run(run);
            }
            let of_no_file = going.iter().filter(|going| going.file.is_none());
            anonymous.extend(of_no_file.map(|going| going.pfn));
        });
        self.flush(FlushRange::All);
        self.pages.borrow_mut().note_lost_dirty(&anonymous);
        for page in anonymous {
            self.pages.borrow_mut().release(page);
        }
    }

    /// Clears neighbours of one kind (`zap_present_folio_ptes()`).
    fn zap_run(&self, run: &[Going]) {
        let (first, address) = (&run[0], Vaddr::new(run[0].page * PAGE));
        if !self.mm.has_users() {
            // A process that ends clears entries one by one, by plain stores.
            for going in run {
                let entry = ops::clear_full(going.ptr);
                if let Some(number) = going.file.filter(|_| is_dirty(entry)) {
                    self.pages.borrow_mut().note_dirty(number);
                }
            }
            return;
        }
        match first.file {
            // Dirty bits of pages that no process needs any more do not matter.
            None => ops::clear_entries(self.mm, address, first.ptr, run.len()),
            Some(number) => {
                let entry = ops::get_and_clear_range(self.mm, address, first.ptr, run.len());
                if is_dirty(entry) {
                    self.pages.borrow_mut().note_dirty(number);
                }
            }
        }
    }

    /// Frees the tables that only mapped ranges of pages which are not mapped any more
    /// (`free_pgtables()`): of one level after the other, from below.
    pub(super) fn free_tables(&mut self, ranges: &[(usize, usize)]) {
        let mut is_freed = false;
        for level in [Level::L2, Level::L3, Level::L4] {
            let span = level.span() / PAGE;
            let starts = |(start, end): &(usize, usize)| {
                let first = start / span * span;
                (first..*end).step_by(span)
            };
            for start in ranges.iter().flat_map(starts) {
                if self.is_mapped_within(start..start + span) {
                    continue;
                }
                let address = Vaddr::new(start * PAGE);
                let ptr = generic::find(self.mm, level, address);
                if let Some(ptr) = ptr.filter(|ptr| ptr.read().is_present()) {
                    generic::free_table(ptr, level);
                    is_freed = true;
                }
            }
        }
        if is_freed {
            self.flush(FlushRange::All);
        }
    }

    fn is_mapped_within(&self, range: Range<usize>) -> bool {
        let before = self.areas.range(..range.end).next_back();
        before.is_some_and(|(_, area)| area.end > range.start)
    }
}
