// SPDX-License-Identifier: GPL-2.0

//! Takes out, write-protects or sets runs of neighbouring entries of level 1.
//!
//! Generic code does the former to unmap, move and share pages, by an atomic instruction for each
//! entry. In a table that Xen knows every such instruction faults and is emulated, which costs more
//! than all the rest. Here each entry is an element of a hypercall instead.
//!
//! What the CPU notes in an entry at the same time, that the page was accessed or written to, must
//! not get lost. Three cases differ:
//!
//! - The table belongs to the one thread that runs here, or to the kernel, or its caller does not
//!   care: nobody's writes can be missed between reading the entry and clearing it. The clearing
//!   may wait in the queue.
//! - Other threads may write to the page until the entry is cleared: Xen clears it but for the
//!   accessed and dirty bits ([`Command::PreserveAd`]), which are read back. An entry with only
//!   these bits left counts as empty.
//! - Write protection keeps both bits, so that nothing can be missed.
//!
//! What waits is in effect when the task leaves lazy MMU mode, and before any later flush of TLBs:
//! generic code holds the lock of the table until the former, and frees no page before the latter.

#![forbid(unsafe_code)]

use crate::addr::{
    Vaddr,
    PAGE_SIZE, //
};
use crate::convert;
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::multicall::{
    has_just_changed,
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::{
    check_page_table_clear,
    stats,
    trace,
    Caller,
    Command,
    KnownSlot,
    Mm,
    Place,
    Slot,
    PAGE_TABLE_CHECK, //
};
use crate::set;

/// Neighbouring entries of one table of level 1.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    first: Slot,
    count: usize,
}

impl Run {
    /// Returns the run of `count` entries from `first` on, which do not reach beyond its table.
    pub(crate) fn new(first: Slot, count: usize) -> Self {
        Self { first, count }
    }

    fn slots(self) -> impl Iterator<Item = Slot> {
        let (table, first) = (self.first.table(), self.first.index());
        first
            .and_behind()
            .take(self.count)
            .map(move |index| table.entry(index))
    }

    /// Returns the flags that any of the entries has, `skipped` at the start left out.
    fn flags(self, skipped: usize) -> usize {
        self.slots()
            .skip(skipped)
            .fold(0, |flags, slot| flags | slot.read().protection().raw())
    }

    /// Tells the page table checker that the entries go.
    fn check(self, mm: Mm, address: Vaddr) {
        if !PAGE_TABLE_CHECK {
            return;
        }
        for (page, slot) in self.slots().enumerate() {
            check_page_table_clear(mm, address.add(page * PAGE_SIZE), slot.read());
        }
    }

    /// Changes each of the entries of a table that Xen knows, given its number in the run; `None`
    /// leaves one as it is.
    #[inline(always)]
    fn update(
        self,
        issue: Issue,
        command: Command,
        caller: Caller<'_>,
        change: impl Fn(usize, MachineEntry) -> Option<MachineEntry>,
    ) {
        let start = p2m::machine_address(self.first.vaddr());
        let mut batch = Batch::open(issue, caller);
        for (place, slot) in self.slots().enumerate() {
            if let Some(entry) = change(place, slot.read()) {
                batch.update(command, start.add(place * size_of::<usize>()), entry);
            }
        }
    }

    /// Clears the entries of a table that Xen knows, with no regard to what the CPU notes in them.
    ///
    /// Who clears an entry of the kernel once more has tried in between to set it by an instruction
    /// and found it there still (`ptep_try_set()`): then it goes at once, and nothing waits that
    /// would clear what is set there next.
    #[inline(always)]
    fn clear_known(self, mm: Mm, address: Vaddr, first: KnownSlot, caller: Caller<'_>) {
        stats::count_avoided_traps(self.count);
        if mm == Mm::kernel() && has_just_changed(p2m::machine_address(first.slot().vaddr())) {
            return self.clear_all(true, caller);
        }
        if self.count == 1 && self.first.read().raw() & bits::UFFD_WP == 0 {
            return set::update_at(mm, address, first, MachineEntry::EMPTY, caller);
        }
        self.clear_all(false, caller);
    }

    /// Apart from [`Self::clear_known`], so that a single entry needs no more registers than it
    /// does.
    #[inline(never)]
    fn clear_all(self, is_at_once: bool, caller: Caller<'_>) {
        // A marker takes the place of a page that userfaultfd watches for writes, by code that
        // looks whether the entry is empty.
        let issue = if is_at_once || self.flags(0) & bits::UFFD_WP != 0 {
            Issue::Now
        } else {
            Issue::LazyMmu
        };
        self.update(issue, Command::Normal, caller, |_, _| {
            Some(MachineEntry::EMPTY)
        });
    }

    /// Sets the first entry to `entry`, the others to the same for the frames behind.
    #[inline(never)]
    fn set_all(self, entry: MachineEntry, caller: Caller<'_>) {
        let pseudo = convert::to_pseudo(entry);
        let nth = |page| convert::to_machine(pseudo.behind(page));

        for (page, slot) in self.slots().enumerate() {
            trace::set_pte(slot, nth(page));
        }
        match self.first.place() {
            Place::Private(_) => self.store(|page, _| nth(page)),
            Place::Known(_) => self.update(Issue::LazyMmu, Command::Normal, caller, |page, _| {
                Some(nth(page))
            }),
        }
    }

    /// Clears the entries of a table that Xen does not know.
    #[inline(never)]
    fn clear_private(self) {
        self.store(|_, _| MachineEntry::EMPTY);
    }

    /// Changes each of the entries of a table that Xen does not know, and that no CPU uses.
    fn store(self, change: impl Fn(usize, MachineEntry) -> MachineEntry) {
        for (place, slot) in self.slots().enumerate() {
            if let Place::Private(private) = slot.place() {
                private.store(change(place, slot.read()));
            }
        }
    }
}

/// Clears a run whose accessed and dirty bits do not matter.
///
/// Context: holds the lock of the table.
pub(crate) fn clear(mm: Mm, address: Vaddr, run: Run, caller: Caller<'_>) {
    run.check(mm, address);
    match run.first.place() {
        Place::Known(first) => run.clear_known(mm, address, first, caller),
        Place::Private(_) => run.clear_private(),
    }
}

/// Clears a run; returns its first entry, and the flags that any of the others had.
///
/// Context: holds the lock of the table.
pub(crate) fn take(mm: Mm, address: Vaddr, run: Run, caller: Caller<'_>) -> (MachineEntry, usize) {
    let (first, others) = (run.first.read(), run.flags(1));

    run.check(mm, address);
    match run.first.place() {
        Place::Private(_) => run.clear_private(),
        Place::Known(slot) if mm.is_only_used_here() => {
            run.clear_known(mm, address, slot, caller);
        }
        Place::Known(_) => {
            stats::count_avoided_traps(run.count);
            run.update(Issue::Now, Command::PreserveAd, caller, |_, _| {
                Some(MachineEntry::EMPTY)
            });
            let noted = bits::ACCESSED | bits::DIRTY;
            return (
                first.with(run.first.read().raw() & noted),
                others | (run.flags(1) & noted),
            );
        }
    }
    (first, others)
}

/// Makes a run read-only.
///
/// Context: holds the lock of the table.
pub(crate) fn write_protect(run: Run, caller: Caller<'_>) {
    match run.first.place() {
        Place::Private(_) => run.store(|_, entry| entry.without(bits::RW)),
        Place::Known(_) => {
            stats::count_avoided_traps(run.count);
            run.update(Issue::LazyMmu, Command::PreserveAd, caller, |_, entry| {
                let is_writable = entry.is_present() && entry.raw() & bits::RW != 0;
                is_writable.then_some(entry.without(bits::RW))
            });
        }
    }
}

/// Sets a run: its first entry to `entry`, the others to the same for the frames behind.
///
/// Context: holds the lock of the table, or has it for itself.
#[inline(always)]
pub(crate) fn set(mm: Mm, address: Vaddr, run: Run, entry: MachineEntry, caller: Caller<'_>) {
    if run.count != 1 {
        return run.set_all(entry, caller);
    }
    trace::set_pte(run.first, entry);
    match run.first.place() {
        Place::Private(first) => first.store(entry),
        Place::Known(first) => set_known(mm, address, first, entry, caller),
    }
}

/// Apart from [`set()`], so that a store needs no more registers than it does.
#[inline(never)]
fn set_known(mm: Mm, address: Vaddr, first: KnownSlot, entry: MachineEntry, caller: Caller<'_>) {
    set::update_at(mm, address, first, entry, caller);
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_runs)]
mod tests {
    use super::*;
    use crate::addr::{
        Index,
        ENTRIES, //
    };
    use crate::platform::{
        is_pv_domain,
        lookup,
        ScratchMemory, //
    };
    use crate::tlb;
    use kernel::prelude::*;

    const PAGES: usize = 4;

    fn nth(run: Run, number: usize) -> Slot {
        let index = Index::wrapping(run.first.index().raw() + number);
        run.first.table().entry(index)
    }

    /// Runs `test` on the entries of memory that nobody else uses; puts them back.
    fn with_scratch<R>(test: impl FnOnce(Run, Vaddr) -> R) -> Result<Option<R>> {
        if !is_pv_domain() {
            return Ok(None);
        }
        // Some of it lies in one table, whatever its address is.
        let memory = ScratchMemory::new(2 * PAGES).ok_or(ENOMEM)?;
        let mut start = memory.start();
        let (mut first, _) = lookup(start).ok_or(EINVAL)?;
        if first.index().raw() + PAGES > ENTRIES {
            start = start.add(PAGES * PAGE_SIZE);
            (first, _) = lookup(start).ok_or(EINVAL)?;
        }
        let run = Run::new(first, PAGES);
        let before: [MachineEntry; PAGES] = core::array::from_fn(|page| nth(run, page).read());

        let result = test(run, start);
        for (slot, entry) in run.slots().zip(before) {
            set::pte(slot, entry, Caller::in_test());
        }
        tlb::flush_all(Caller::in_test());
        Ok(Some(result))
    }

    #[test]
    fn taken_entries_are_returned_and_gone() -> Result {
        let seen = with_scratch(|run, start| {
            let (first, others) = (run.first.read(), run.flags(1));
            let taken = take(Mm::kernel(), start, run, Caller::in_test());
            let left = run.slots().filter(|slot| !slot.read().is_none()).count();
            (taken.0 == first, taken.1 == others, left)
        })?;
        if let Some(seen) = seen {
            assert_eq!(seen, (true, true, 0));
        }
        Ok(())
    }

    #[test]
    fn cleared_kernel_entries_are_all_zero() -> Result {
        let left = with_scratch(|run, start| {
            clear(Mm::kernel(), start, run, Caller::in_test());
            run.slots().filter(|slot| slot.read().raw() != 0).count()
        })?;
        assert_eq!(left.unwrap_or(0), 0);
        Ok(())
    }

    #[test]
    fn what_the_cpu_noted_stays_behind() -> Result {
        // As for an address space that others use at the same time.
        let left = with_scratch(|run, _| {
            run.update(
                Issue::Now,
                Command::PreserveAd,
                Caller::in_test(),
                |_, _| Some(MachineEntry::EMPTY),
            );
            let noted = bits::ACCESSED | bits::DIRTY;
            let is_good = |entry: MachineEntry| entry.is_none() && entry.raw() & !noted == 0;
            (
                run.slots().filter(|slot| !is_good(slot.read())).count(),
                run.flags(0),
            )
        })?;
        // Mappings of the vmalloc area are made with both bits set.
        if let Some(left) = left {
            assert_eq!(left, (0, bits::ACCESSED | bits::DIRTY));
        }
        Ok(())
    }

    #[test]
    fn write_protection_leaves_all_else() -> Result {
        let seen = with_scratch(|run, _| {
            let before = run.first.read();
            write_protect(run, Caller::in_test());
            let writable = run.flags(0) & bits::RW;
            (run.first.read() == before.without(bits::RW), writable)
        })?;
        if let Some(seen) = seen {
            assert_eq!(seen, (true, 0));
        }
        Ok(())
    }
}
