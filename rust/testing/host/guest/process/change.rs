// SPDX-License-Identifier: GPL-2.0-only

//! Changes of mappings that stay: `mprotect`, `mremap`, writing back.

use super::{
    entry_for,
    is_dirty,
    page_in,
    Access,
    Area,
    OutOfMemory,
    Process,
    PAGE, //
};
use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::guest::{
    generic, //
    ops,
};
use crate::level::{
    Index,
    Level,
    ENTRIES, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::FlushRange;
use crate::pte;

impl Process {
    /// Changes what the process may do with `pages` pages at `start` (`mprotect`).
    pub(crate) fn protect(&mut self, start: usize, pages: usize, access: Access) {
        let first = start / PAGE;
        for (start, end) in self.split_at(&(first..first + pages)) {
            if let Some(area) = self.areas.get_mut(&start) {
                area.access = access;
            }
            self.for_each_table(start..end, |pages, table| {
                for page in pages {
                    let ptr = table.entry(Index::wrapping(page));
                    // `ptep_modify_prot_start()`
                    let old = ptr.read();
                    if let Some(pfn) = page_in(old) {
                        let new = self.protected(page, pfn, old, access);
                        let address = Vaddr::new(page * PAGE);
                        pte::modify_protection(self.mm, address, ptr, new, CallContext::here());
                    }
                }
            });
        }
        self.flush(FlushRange::All);
    }

    /// Returns the entry for a page after a change of protection.
    fn protected(&self, page: usize, pfn: Pfn, old: MachineEntry, access: Access) -> MachineEntry {
        let is_of_file = self.file_page_at(page).is_some();
        // A write must fault as long as other processes may map the page.
        let may_write = is_of_file || is_dirty(old) && self.pages.borrow().is_exclusive(pfn);
        let access = match access {
            Access::Write if !may_write => Access::Read,
            access => access,
        };
        entry_for(pfn, access).with(old.raw() & bits::DIRTY)
    }

    /// Moves the mapping of `pages` pages at `from` to `to`, which do not overlap (`mremap`).
    ///
    /// Whole tables are moved where both ends allow it.
    pub(crate) fn remap(
        &mut self,
        from: usize,
        pages: usize,
        to: usize,
    ) -> Result<(), OutOfMemory> {
        let (first, target) = (from / PAGE, to / PAGE);
        self.carve(target..target + pages);
        let pieces = self.split_at(&(first..first + pages));
        for (start, _) in &pieces {
            let area = self.areas[start];
            let end = area.end - first + target;
            let there = start - first + target;
            self.areas.insert(there, Area { end, ..area });
        }
        let mut page = first;
        while page < first + pages {
            let there = page - first + target;
            let rest = first + pages - page;
            let moved = if page % ENTRIES == 0 && there % ENTRIES == 0 && rest >= ENTRIES {
                self.move_table(page, there)?
            } else {
                0
            };
            if moved == 0 {
                let count = rest.min(ENTRIES - (page % ENTRIES).max(there % ENTRIES));
                self.move_entries(page, there, count)?;
                page += count;
            } else {
                page += moved;
            }
        }
        self.flush(FlushRange::All);
        for (start, _) in &pieces {
            self.areas.remove(start);
        }
        self.free_tables(&pieces);
        // A table may have been allocated for a gap between two mappings.
        self.free_tables(&[(target, target + pages)]);
        Ok(())
    }

    /// Moves a whole table of level 1 (`move_normal_pmd()`); returns how many pages that is.
    fn move_table(&mut self, page: usize, there: usize) -> Result<usize, OutOfMemory> {
        let from = generic::find(self.mm, Level::L2, Vaddr::new(page * PAGE));
        let Some(from) = from.filter(|from| from.read().is_present()) else {
            return Ok(0);
        };
        let to = generic::level2_entry(self.mm, Vaddr::new(there * PAGE)).ok_or(OutOfMemory)?;
        if !to.read().is_none() {
            return Ok(0);
        }
        let table = Table::below(from.read());
        let Some(table) = table else {
            panic!("an entry points to no table of the domain");
        };
        ops::in_table_move(|| {
            ops::set_upper(from, Level::L2, MachineEntry::EMPTY);
            generic::link(self.mm, to, Level::L2, table);
            self.flush(FlushRange::All);
        });
        Ok(ENTRIES)
    }

    /// Moves entries one by one (`move_ptes()`).
    fn move_entries(&mut self, page: usize, there: usize, count: usize) -> Result<(), OutOfMemory> {
        let from = generic::find(self.mm, Level::L1, Vaddr::new(page * PAGE));
        let Some(from) = from else {
            return Ok(());
        };
        let to = generic::level1_entry(self.mm, Vaddr::new(there * PAGE)).ok_or(OutOfMemory)?;
        ops::in_lazy_mmu(|| {
            let mut offset = 0;
            while offset < count {
                let source = |offset| from.table().entry(Index::wrapping(page + offset));
                let nr_entries = run_length(source, offset, count);
                if nr_entries > 0 {
                    let at = Vaddr::new((page + offset) * PAGE);
                    let entry = ops::get_and_clear_range(self.mm, at, source(offset), nr_entries);
                    let there = there + offset;
                    let ptr = to.table().entry(Index::wrapping(there));
                    self.set_run(Vaddr::new(there * PAGE), ptr, nr_entries, entry);
                }
                offset += nr_entries.max(1);
            }
        });
        Ok(())
    }

    /// Sets entries for contiguous pages (`set_ptes()`).
    fn set_run(&self, at: Vaddr, ptr: EntryPtr, count: usize, first: MachineEntry) {
        if ops::Switch::Sets.is_on() {
            return ops::set_run(self.mm, at, ptr, count, first);
        }
        ops::set_pte(ptr, first);
        let flags = first.raw() & !bits::FRAME;
        for (number, index) in ptr.index().and_behind().take(count).enumerate().skip(1) {
            let page = generic::page_of(first).add(number);
            let entry = entry_for(page, Access::Read);
            let entry = MachineEntry::from_raw(entry.raw() & bits::FRAME | flags);
            ops::set_pte(ptr.table().entry(index), entry);
        }
    }

    /// Prepares page `number` of the file for writeback (`page_mkclean_one()`): records whether the
    /// process has written to it, and write-protects it so that the next write faults.
    pub(crate) fn clean(&self, number: usize) {
        for (start, area) in &self.areas {
            let Some(first) = area.file else {
                continue;
            };
            if !(first..first + area.end - start).contains(&number) {
                continue;
            }
            let at = Vaddr::new((start + number - first) * PAGE);
            let ptr = generic::find(self.mm, Level::L1, at);
            let Some(ptr) = ptr.filter(|ptr| ptr.read().is_present()) else {
                continue;
            };
            let entry = ops::get_and_clear(self.mm, at, ptr);
            self.flush(FlushRange::Page(at));
            if is_dirty(entry) {
                self.pages.borrow_mut().note_dirty(number);
            }
            let entry = entry.without(bits::RW | bits::DIRTY);
            ops::set_pte_at(self.mm, at, ptr, entry);
        }
    }
}

/// Returns how many entries from `offset` on generic code moves in one go: those of neighbouring
/// pages with the same rights, or one that is not present.
fn run_length(source: impl Fn(usize) -> EntryPtr, offset: usize, end: usize) -> usize {
    let first = source(offset).read();
    let Some(page) = page_in(first) else {
        return 0;
    };
    if !first.is_present() {
        return 1;
    }
    let belongs = |number: &usize| {
        let entry = source(offset + number).read();
        let has_rights = (entry.raw() ^ first.raw()) & (bits::PRESENT | bits::RW) == 0;
        has_rights && page_in(entry) == Some(page.add(*number))
    };
    1 + (1..end - offset).take_while(belongs).count()
}
