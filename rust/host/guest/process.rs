// SPDX-License-Identifier: GPL-2.0

//! Processes: what system calls and page faults do to page tables.

use crate::addr::{
    Index,
    Vaddr,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::frame::Pfn;
use crate::guest::{
    edge,
    generic,
    PageUsers, //
};
use crate::level::Level;
use crate::multicall;
use crate::platform::{
    direct_of,
    free_page,
    host,
    kernel_root,
    load,
    store,
    Caller,
    IrqsOff,
    MaySleep,
    Mm,
    OwnedPage,
    PreemptOff,
    Slot,
    Table, //
};
use crate::{
    alloc,
    pin,
    set,
    tlb, //
};
use std::collections::BTreeMap;
use std::ops::Range;
use xen_model::FaultKind;

/// Size of a page.
pub(crate) const PAGE: usize = PAGE_SIZE;

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
    /// Returns the protection of a page that is mapped so, and that nobody else has.
    fn protection(self) -> Protection {
        /// `_PAGE_PROTNONE`, where native entries have the global bit.
        const PROTECTED: usize = 1 << 8;

        let used = bits::PRESENT | bits::USER | bits::ACCESSED | bits::NX;
        Protection::from_raw(match self {
            Access::None => PROTECTED | bits::ACCESSED,
            Access::Read => used,
            Access::Write => used | bits::RW | bits::DIRTY,
        })
    }
}

/// An address space with a task in it.
///
/// Addresses are multiples of [`PAGE`], sizes are in pages. A process has to end with
/// [`Self::exit`].
#[must_use = "a process has to exit"]
pub(crate) struct Process {
    mm: Mm,
    /// The mappings, by page number: number of the page behind the last, and access.
    areas: BTreeMap<usize, (usize, Access)>,
    users: PageUsers,
}

/// There was no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OutOfMemory;

/// Returns the entry for a page of the process, as generic code makes it.
fn entry_for(page: Pfn, access: Access) -> MachineEntry {
    if access == Access::None {
        // Frames of entries that are not present are inverted.
        let word = !page.paddr().raw() & bits::FRAME;
        return MachineEntry::from_raw(word | Access::None.protection().raw());
    }
    edge::make_pte(PseudoEntry::new(page, access.protection()))
}

/// Returns the page that an entry is about, be it accessible or not.
fn page_in(entry: MachineEntry) -> Option<Pfn> {
    if entry.is_none() {
        return None;
    }
    if entry.is_present() {
        return Some(generic::page_of(entry));
    }
    Some(Pfn::new((!entry.raw() & bits::FRAME) >> 12))
}

impl Process {
    /// Makes an address space without mappings (`mm_init()`).
    pub(super) fn new(users: PageUsers) -> Option<Self> {
        let mut root = OwnedPage::zeroed(&mut MaySleep::here())?;
        for index in Index::wrapping(ENTRIES / 2).and_behind() {
            root.set_entry(index, kernel_root().entry(index).read());
        }
        let mm = Mm::create(root.leak());
        let process = Self {
            mm,
            areas: BTreeMap::new(),
            users,
        };
        if alloc::create_user_root(mm, &mut MaySleep::here()).is_err() {
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
    pub(super) fn enter(&self) {
        pin::enter(self.mm, Caller::here());
    }

    /// Has this CPU run the process.
    pub(crate) fn run(&self) {
        switch(self.mm, false);
    }

    /// Maps `pages` pages at `start`; nothing is there until it is touched.
    pub(crate) fn map(&mut self, start: usize, pages: usize, access: Access) {
        let first = start / PAGE;
        self.carve(first..first + pages);
        self.areas.insert(first, (first + pages, access));
    }

    /// Returns what the process may do at `address`, if it is mapped.
    pub(crate) fn access_at(&self, address: usize) -> Option<Access> {
        let page = address / PAGE;
        let (_, &(end, access)) = self.areas.range(..=page).next_back()?;
        (page < end).then_some(access)
    }

    /// Reads the first word of the page at `address`, as user mode does.
    ///
    /// # Panics
    ///
    /// If the process may not, or there is no memory.
    #[track_caller]
    pub(crate) fn read(&mut self, address: usize) -> u64 {
        match self.try_access(address, None) {
            Ok(word) => word,
            Err(OutOfMemory) => panic!("no memory to read {address:#x}"),
        }
    }

    /// Writes the first word of the page at `address`, as user mode does.
    ///
    /// # Panics
    ///
    /// As [`Self::read`].
    #[track_caller]
    pub(crate) fn write(&mut self, address: usize, word: u64) {
        if self.try_access(address, Some(word)).is_err() {
            panic!("no memory to write {address:#x}");
        }
    }

    /// Accesses the first word of the page at `address`; faults are handled.
    #[track_caller]
    pub(crate) fn try_access(
        &mut self,
        address: usize,
        word: Option<u64>,
    ) -> Result<u64, OutOfMemory> {
        assert_eq!(Mm::loaded(), self.mm, "the process does not run here");
        // A fault may be spurious, then there is one for the page and one for its protection.
        for _ in 0..4 {
            let host = host();
            let (who, va) = (host.vcpu(), address as u64);
            let result = match word {
                Some(word) => host
                    .machine
                    .borrow_mut()
                    .user_write(who, va, word)
                    .map(|()| 0),
                None => host.machine.borrow_mut().user_read(who, va),
            };
            match result {
                Ok(word) => return Ok(word),
                Err(fault) => {
                    let is_ours =
                        matches!(fault.kind, FaultKind::NotPresent | FaultKind::Protection);
                    assert!(is_ours, "{fault:x?}");
                    self.handle_fault(address, word.is_some())?;
                }
            }
        }
        panic!("the access to {address:#x} faults again and again");
    }

    /// Handles a fault of user mode (`handle_mm_fault()`).
    #[track_caller]
    fn handle_fault(&mut self, address: usize, is_write: bool) -> Result<(), OutOfMemory> {
        let access = self.access_at(address);
        let is_allowed = match access {
            Some(Access::Write) => true,
            Some(Access::Read) => !is_write,
            Some(Access::None) | None => false,
        };
        assert!(is_allowed, "{access:?} does not allow this at {address:#x}");
        let at = Vaddr::new(address).page_start();
        let slot = generic::level1_entry(self.mm, at).ok_or(OutOfMemory)?;
        let entry = slot.read();
        match page_in(entry) {
            None => self.add_page(slot, at, access.unwrap_or(Access::Read)),
            Some(page) if is_write && entry.raw() & bits::RW == 0 => self.unshare(slot, at, page),
            // Somebody else was faster.
            Some(_) => Ok(()),
        }
    }

    /// Maps a fresh page.
    fn add_page(&mut self, slot: Slot, at: Vaddr, access: Access) -> Result<(), OutOfMemory> {
        let page = OwnedPage::zeroed(&mut MaySleep::here()).ok_or(OutOfMemory)?;
        let pfn = page.leak().pfn();
        self.users.borrow_mut().insert(pfn, 1);
        edge::set_pte_at(self.mm, at, slot, entry_for(pfn, access));
        Ok(())
    }

    /// Makes a page writable that others may have as well.
    fn unshare(&mut self, slot: Slot, at: Vaddr, page: Pfn) -> Result<(), OutOfMemory> {
        let nr_users = self.users.borrow().get(&page).copied();
        if nr_users == Some(1) {
            edge::set_pte(slot, entry_for(page, Access::Write));
            return Ok(());
        }
        let mut copy = OwnedPage::new(&mut MaySleep::here()).ok_or(OutOfMemory)?;
        copy.fill(|index| load(direct_of(page).add(index * size_of::<usize>())));
        let copy = copy.leak().pfn();
        self.users.borrow_mut().insert(copy, 1);
        edge::get_and_clear(self.mm, at, slot);
        self.flush(tlb::Range::Page(at));
        edge::set_pte_at(self.mm, at, slot, entry_for(copy, Access::Write));
        self.drop_page(page);
        Ok(())
    }

    /// One user of a page less.
    fn drop_page(&self, page: Pfn) {
        let mut users = self.users.borrow_mut();
        match users.get_mut(&page) {
            Some(1) => {
                users.remove(&page);
                // Whoever still reads it shall see that it is gone.
                store(direct_of(page), usize::MAX);
                free_page(page);
            }
            Some(nr_users) => *nr_users -= 1,
            None => panic!("{page:x?} belongs to no process"),
        }
    }

    /// Unmaps `pages` pages at `start`.
    pub(crate) fn unmap(&mut self, start: usize, pages: usize) {
        let first = start / PAGE;
        self.carve(first..first + pages);
    }

    /// Takes everything away that is mapped in a range of pages.
    fn carve(&mut self, range: Range<usize>) {
        let pieces = self.split_at(&range);
        for (start, end) in &pieces {
            self.zap(*start..*end);
            self.areas.remove(start);
        }
        self.free_tables(&pieces);
    }

    /// Splits mappings at the ends of a range; returns those within, as pages.
    fn split_at(&mut self, range: &Range<usize>) -> Vec<(usize, usize)> {
        for cut in [range.start, range.end] {
            let before = self.areas.range_mut(..cut).next_back();
            if let Some((_, (end, access))) = before {
                if *end > cut {
                    let rest = (std::mem::replace(end, cut), *access);
                    self.areas.insert(cut, rest);
                }
            }
        }
        let within = self.areas.range(range.start..range.end);
        within.map(|(start, (end, _))| (*start, *end)).collect()
    }

    /// Calls `visit` with each table of level 1 for a range of pages, and those of the pages that
    /// are in it, in lazy MMU mode.
    fn for_each_table(&self, range: Range<usize>, mut visit: impl FnMut(Range<usize>, Table)) {
        let mut page = range.start;
        while page < range.end {
            let end = range.end.min((page / ENTRIES + 1) * ENTRIES);
            let first = generic::find(self.mm, Level::L1, Vaddr::new(page * PAGE));
            if let Some(first) = first {
                edge::in_lazy_mmu(|| visit(page..end, first.table()));
            }
            page = end;
        }
    }

    /// Takes out and frees the pages of a range (`zap_pte_range()`).
    fn zap(&mut self, range: Range<usize>) {
        let mut zapped = Vec::new();
        self.for_each_table(range, |pages, table| {
            let present = pages.filter_map(|page| {
                let slot = table.entry(Index::wrapping(page));
                page_in(slot.read()).map(|pfn| (page, slot, pfn))
            });
            let present: Vec<_> = present.collect();
            for run in present.chunk_by(|(page, ..), (next, ..)| page + 1 == *next) {
                let (page, slot, _) = run[0];
                edge::clear_entries(self.mm, Vaddr::new(page * PAGE), slot, run.len());
            }
            zapped.extend(present.iter().map(|(_, _, pfn)| *pfn));
        });
        self.flush(tlb::Range::All);
        zapped.into_iter().for_each(|page| self.drop_page(page));
    }

    /// Frees the tables that only mapped ranges of pages which are not mapped any more
    /// (`free_pgtables()`): of one level after the other, from below.
    fn free_tables(&mut self, ranges: &[(usize, usize)]) {
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
                let slot = generic::find(self.mm, level, address);
                if let Some(slot) = slot.filter(|slot| slot.read().is_present()) {
                    generic::free_table(slot, level);
                    is_freed = true;
                }
            }
        }
        if is_freed {
            self.flush(tlb::Range::All);
        }
    }

    fn is_mapped_within(&self, range: Range<usize>) -> bool {
        let before = self.areas.range(..range.end).next_back();
        before.is_some_and(|(_, (end, _))| *end > range.start)
    }

    /// Changes what the process may do with `pages` pages at `start` (`mprotect`).
    pub(crate) fn protect(&mut self, start: usize, pages: usize, access: Access) {
        let first = start / PAGE;
        for (start, end) in self.split_at(&(first..first + pages)) {
            self.areas.insert(start, (end, access));
            let users = self.users.clone();
            let mm = self.mm;
            self.for_each_table(start..end, |pages, table| {
                for page in pages {
                    let slot = table.entry(Index::wrapping(page));
                    // `ptep_modify_prot_start()`
                    let old = slot.read();
                    let Some(pfn) = page_in(old) else {
                        continue;
                    };
                    let is_shared = users.borrow().get(&pfn) != Some(&1);
                    let is_clean = old.raw() & bits::DIRTY == 0;
                    let new = match access {
                        Access::Write if is_shared || is_clean => entry_for(pfn, Access::Read),
                        access => entry_for(pfn, access),
                    };
                    let new = new.with(old.raw() & bits::DIRTY);
                    let address = Vaddr::new(page * PAGE);
                    set::modify_protection(mm, address, slot, new, Caller::here());
                }
            });
        }
        self.flush(tlb::Range::All);
    }

    /// Moves the mapping of `pages` pages at `from` to `to`, where nothing is mapped (`mremap`).
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
        for (start, end) in &pieces {
            let (_, access) = self.areas[start];
            let there = start - first + target;
            self.areas.insert(there, (there + end - start, access));
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
        self.flush(tlb::Range::All);
        for (start, _) in &pieces {
            self.areas.remove(start);
        }
        self.free_tables(&pieces);
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
        let table = Table::in_frame(from.read().mfn());
        let Some(table) = table else {
            panic!("an entry points to no table of ours");
        };
        edge::set_upper(from, Level::L2, MachineEntry::EMPTY);
        generic::hook(self.mm, to, Level::L2, table);
        Ok(ENTRIES)
    }

    /// Moves entries one by one (`move_ptes()`).
    fn move_entries(&mut self, page: usize, there: usize, count: usize) -> Result<(), OutOfMemory> {
        let from = generic::find(self.mm, Level::L1, Vaddr::new(page * PAGE));
        let Some(from) = from else {
            return Ok(());
        };
        let to = generic::level1_entry(self.mm, Vaddr::new(there * PAGE)).ok_or(OutOfMemory)?;
        edge::in_lazy_mmu(|| {
            for offset in 0..count {
                let source = from.table().entry(Index::wrapping(page + offset));
                if !source.read().is_none() {
                    let at = Vaddr::new((page + offset) * PAGE);
                    let entry = edge::get_and_clear(self.mm, at, source);
                    let to = to.table().entry(Index::wrapping(there + offset));
                    let at = Vaddr::new((there + offset) * PAGE);
                    edge::set_pte_at(self.mm, at, to, entry);
                }
            }
        });
        Ok(())
    }

    /// Makes a copy of the process that shares its pages until one of the two writes.
    ///
    /// The copy does not run yet.
    ///
    /// # Panics
    ///
    /// If there is no memory; see [`Self::try_fork`].
    #[track_caller]
    pub(crate) fn fork(&mut self) -> Self {
        match self.try_fork() {
            Ok(child) => child,
            Err(OutOfMemory) => panic!("no memory to fork"),
        }
    }

    /// As [`Self::fork`]; if there is no memory, what was copied so far is gone again.
    pub(crate) fn try_fork(&mut self) -> Result<Self, OutOfMemory> {
        let mut child = Self::new(self.users.clone()).ok_or(OutOfMemory)?;
        for (start, (end, access)) in self.areas.clone() {
            child.areas.insert(start, (end, access));
            if let Err(error) = self.copy_entries(&child, start..end) {
                self.flush(tlb::Range::All);
                child.exit();
                return Err(error);
            }
        }
        self.flush(tlb::Range::All);
        child.enter();
        Ok(child)
    }

    /// Shares the pages of a range with `child` (`copy_pte_range()`).
    fn copy_entries(&self, child: &Self, range: Range<usize>) -> Result<(), OutOfMemory> {
        let mut page = range.start;
        while page < range.end {
            let end = range.end.min((page / ENTRIES + 1) * ENTRIES);
            let from = generic::find(self.mm, Level::L1, Vaddr::new(page * PAGE));
            if let Some(from) = from {
                let to = generic::level1_entry(child.mm, Vaddr::new(page * PAGE));
                let to = to.ok_or(OutOfMemory)?;
                edge::in_lazy_mmu(|| {
                    for page in page..end {
                        let index = Index::wrapping(page);
                        let (from, to) = (from.table().entry(index), to.table().entry(index));
                        self.copy_entry(from, to);
                    }
                });
            }
            page = end;
        }
        Ok(())
    }

    fn copy_entry(&self, from: Slot, to: Slot) {
        let mut entry = from.read();
        let Some(page) = page_in(entry) else {
            return;
        };
        if entry.is_present() && entry.raw() & bits::RW != 0 {
            edge::write_protect(from, 1);
            entry = entry.without(bits::RW);
        }
        *self.users.borrow_mut().entry(page).or_default() += 1;
        edge::set_pte(to, entry.without(bits::DIRTY));
    }

    /// Flushes what TLBs know of the process (`flush_tlb_mm_range()`).
    fn flush(&self, range: tlb::Range) {
        let host = host();
        let users: Vec<usize> = {
            let cpus = host.cpus.borrow();
            let loaded = |state: &crate::platform::CpuState| {
                Mm::kernel() != self.mm && state.mm == self.mm.index()
            };
            let words = cpus.len().div_ceil(64);
            (0..words)
                .map(|word| {
                    let cpus = cpus.iter().enumerate().skip(word * 64).take(64);
                    cpus.filter(|(_, state)| loaded(state))
                        .fold(0, |bits, (cpu, _)| bits | (1 << (cpu % 64)))
                })
                .collect()
        };
        if users.iter().all(|word| *word == 0) {
            return;
        }
        let _preempt = PreemptOff::new();
        let only_this =
            users.iter().map(|word| word.count_ones()).sum::<u32>() == 1 && Mm::loaded() == self.mm;
        match (only_this, range) {
            (true, tlb::Range::Page(at)) => tlb::flush_page_local(at, Caller::here()),
            (true, tlb::Range::All) => tlb::flush_local(Caller::here()),
            (false, range) => tlb::flush_vcpus(users.into_iter(), range, Caller::here()),
        }
    }

    /// Ends the process. CPUs that ran it last run tasks of the kernel from now on.
    pub(crate) fn exit(mut self) {
        for state in host().cpus.borrow_mut().iter_mut() {
            state.borrows_mm |= state.mm == self.mm.index();
        }
        pin::exit(self.mm, &mut MaySleep::here());
        let everything = 0..(1 << 47) / PAGE;
        self.carve(everything.clone());
        self.free_root();
    }

    fn free_root(&self) {
        alloc::free_user_root(self.mm.root());
        let root = self.mm.destroy();
        free_page(root.pfn());
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
    edge::write_cr3(mm.root());
    multicall::flush();
    host.with_state(|state| state.lazy_cpu = false);
}
