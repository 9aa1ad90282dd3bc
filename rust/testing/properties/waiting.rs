// SPDX-License-Identifier: GPL-2.0-only

//! Changes of entries in lazy MMU mode have the same result as if none of them had waited. Those
//! that must be in effect on return are.

use crate::addr::Vaddr;
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::guest::{
    generic,
    ops,
    Access,
    Guest,
    GuestConfig,
    Process,
    PAGE, //
};
use crate::level::Level;
use crate::multicall::is_queue_empty;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::pte::{
    self,
    PteRange, //
};
use crate::tlb;
use std::ops::Range;

/// Number of entries that are changed.
const PAGES: usize = 6;

const START: usize = 8 * PAGE;

const NOTED: usize = bits::ACCESSED | bits::DIRTY;

/// The new value of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    Empty,
    /// A swap entry.
    Swapped,
    /// The entry's own page, inaccessible.
    Inaccessible,
    /// The entry's own page with these flags, of [`FLAGS`].
    Present(u8),
}

/// The flags of a present entry that vary.
const FLAGS: [usize; 5] = [
    bits::RW,
    bits::DIRTY,
    bits::ACCESSED,
    bits::UFFD_WP,
    bits::SPECIAL,
];

/// A step in a section. Ranges begin at a page and have a number of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// `set_pte_at()`
    Set(usize, Content),
    /// `set_pte()`
    SetNow(usize, Content),
    /// `ptep_get_and_clear()`
    GetAndClear(usize),
    /// `get_and_clear_full_ptes()`
    GetAndClearRange(usize, usize),
    /// `clear_full_ptes()`
    Clear(usize, usize),
    /// `wrprotect_ptes()`
    WriteProtect(usize, usize),
    /// `ptep_modify_prot_commit()`, with these of [`FLAGS`]
    Protect(usize, u8),
    /// `clear_young_dirty_ptes()`
    ClearYoungDirty(usize, usize, usize),
    /// `pmd_clear()`, and the table linked again.
    ClearTable,
    /// The section ends, and another one begins.
    Section,
}

impl Step {
    /// The entries that it reads, or of which it changes only flags.
    fn reads(self) -> Range<usize> {
        let range = |first: usize, count: usize| first..(first + count).min(PAGES);
        match self {
            Step::GetAndClearRange(first, count)
            | Step::Clear(first, count)
            | Step::WriteProtect(first, count)
            | Step::ClearYoungDirty(first, count, _) => range(first, count),
            Step::Protect(page, _) => range(page, 1),
            _ => 0..0,
        }
    }
}

/// A process, and the expected values of its entries.
struct Entries {
    process: Process,
    pages: [MachineEntry; PAGES],
    expected: [MachineEntry; PAGES],
    /// Whether a change of the entry may be waiting.
    waits: [bool; PAGES],
}

impl Entries {
    fn new(guest: &Guest) -> Self {
        let mut process = guest.spawn();
        process.map(START, PAGES, Access::Write);
        for page in 0..PAGES {
            process.write(START + page * PAGE, 1);
        }
        let ptr = |page: usize| ptr_of(process.mm(), page);
        let pages = std::array::from_fn(|page| ptr(page).read());
        Self {
            process,
            pages,
            expected: pages,
            waits: [false; PAGES],
        }
    }

    fn mm(&self) -> Mm {
        self.process.mm()
    }

    fn ptr(&self, page: usize) -> EntryPtr {
        ptr_of(self.mm(), page)
    }

    fn range(&self, pages: &Range<usize>) -> PteRange {
        PteRange::new(self.ptr(pages.start), pages.len())
    }

    fn entry(&self, page: usize, content: Content) -> MachineEntry {
        let plain = self.pages[page].without(FLAGS.iter().sum());
        match content {
            Content::Empty => MachineEntry::EMPTY,
            Content::Swapped => MachineEntry::from_raw(bits::FRAME & !0xff_f000),
            Content::Inaccessible => {
                MachineEntry::from_raw(!plain.raw() & bits::FRAME | bits::GLOBAL)
            }
            Content::Present(which) => plain.with(flags(which)),
        }
    }

    /// Whether the change may wait, by the rules in `Documentation/lazy-mmu-callers.md`. Any other
    /// is in effect on return.
    fn may_wait(&self, step: Step) -> bool {
        const WRITABLE: usize = bits::PRESENT | bits::RW;
        let are = |wanted: fn(usize) -> bool| {
            let mut entries = step.reads().map(|page| self.ptr(page).read().raw());
            entries.all(wanted)
        };
        let map_pages = || are(|entry| entry & (bits::PRESENT | bits::GLOBAL) != 0);
        let are_unmarked = || are(|entry| entry & bits::UFFD_WP == 0);
        let stay_clean = || are(|entry| entry & (WRITABLE | bits::DIRTY) != WRITABLE);
        match step {
            Step::Set(page, _) => self.ptr(page).read().is_none(),
            Step::GetAndClearRange(..) => map_pages() && are_unmarked() && stay_clean(),
            Step::Clear(..) => map_pages() && are_unmarked(),
            Step::ClearYoungDirty(_, _, noted) => noted & bits::DIRTY != 0 || stay_clean(),
            Step::WriteProtect(..) | Step::Protect(..) => true,
            Step::SetNow(..) | Step::GetAndClear(_) | Step::ClearTable | Step::Section => false,
        }
    }

    /// Does a step. Callers never read an entry with a waiting change, and change flags only in
    /// present entries; a step that would break this is left out, and `false` returned.
    fn apply(&mut self, step: Step) -> bool {
        let by = CallContext::in_test();
        let (mm, reads) = (self.mm(), step.reads());
        let at = |page: usize| Vaddr::new(START + page * PAGE);
        let maps = |entry: &MachineEntry| entry.is_present();
        let needs_pages = !matches!(step, Step::GetAndClearRange(..) | Step::Clear(..));
        if self.waits[reads.clone()].contains(&true)
            || needs_pages && !self.expected[reads.clone()].iter().all(maps)
        {
            return false;
        }
        match step {
            Step::Set(page, content) => {
                let entry = self.entry(page, content);
                pte::set(mm, at(page), PteRange::new(self.ptr(page), 1), entry, by);
                self.expected[page] = entry;
                self.waits[page] = true;
            }
            Step::SetNow(page, content) => {
                let entry = self.entry(page, content);
                pte::set_now(self.ptr(page), entry, by);
                self.expected[page] = entry;
            }
            Step::GetAndClear(page) => {
                let entry = pte::get_and_clear(mm, at(page), self.ptr(page), by);
                assert_same(entry, self.expected[page]);
                self.expected[page] = MachineEntry::EMPTY;
            }
            Step::GetAndClearRange(..) => {
                let range = self.range(&reads);
                let (first, others) = pte::get_and_clear_range(mm, at(reads.start), range, by);
                assert_same(first, self.expected[reads.start]);
                let expected = self.expected[reads.start + 1..reads.end].iter();
                let expected = expected.fold(0, |flags, entry| flags | entry.protection().raw());
                assert_eq!((others ^ expected) & !NOTED, 0);
                self.change(reads, |_| MachineEntry::EMPTY);
            }
            Step::Clear(..) => {
                pte::clear(mm, at(reads.start), self.range(&reads), by);
                self.change(reads, |_| MachineEntry::EMPTY);
            }
            Step::WriteProtect(..) => {
                pte::write_protect(self.range(&reads), by);
                self.change(reads, |entry| entry.without(bits::RW));
            }
            Step::Protect(page, which) => {
                let kept = self.expected[page].raw() & NOTED;
                let entry = self.entry(page, Content::Present(which)).without(NOTED);
                pte::modify_protection(mm, at(page), self.ptr(page), entry, by);
                self.change(reads, |_| entry.with(kept));
            }
            Step::ClearYoungDirty(_, _, noted) => {
                pte::clear_young_dirty(mm, at(reads.start), self.range(&reads), noted, by);
                self.change(reads, |entry| entry.without(noted));
            }
            Step::ClearTable => {
                let Some(above) = generic::find(mm, Level::L2, Vaddr::new(START)) else {
                    panic!("the process has no table");
                };
                let table = above.read();
                ops::set_upper(above, Level::L2, MachineEntry::EMPTY);
                assert!(above.read().is_none());
                ops::set_upper(above, Level::L2, table);
                assert_eq!(above.read(), table);
            }
            Step::Section => {
                ops::leave_lazy_mmu();
                ops::enter_lazy_mmu();
            }
        }
        true
    }

    fn change(&mut self, pages: Range<usize>, change: impl Fn(MachineEntry) -> MachineEntry) {
        for page in pages {
            self.expected[page] = change(self.expected[page]);
            self.waits[page] = true;
        }
    }

    /// Checks every entry that has no waiting change.
    fn look(&mut self) {
        if is_queue_empty() {
            self.waits = [false; PAGES];
        }
        for page in (0..PAGES).filter(|page| !self.waits[*page]) {
            assert_same(self.ptr(page).read(), self.expected[page]);
        }
    }
}

fn ptr_of(mm: Mm, page: usize) -> EntryPtr {
    match generic::find(mm, Level::L1, Vaddr::new(START + page * PAGE)) {
        Some(ptr) => ptr,
        None => panic!("page {page} is not mapped"),
    }
}

/// A cleared entry may still have accessed and dirty bits.
#[track_caller]
fn assert_same(entry: MachineEntry, expected: MachineEntry) {
    if !(entry.is_none() && expected.is_none()) {
        assert_eq!(entry, expected);
    }
}

fn flags(which: u8) -> usize {
    let chosen = (FLAGS.iter().enumerate()).filter(|(number, _)| which & (1 << number) != 0);
    chosen.map(|(_, flag)| flag).sum()
}

/// Does `steps` in sections of lazy MMU mode; returns how many of them were done.
fn check(steps: &[Step]) -> usize {
    let guest = Guest::boot(GuestConfig::dom0(1000));
    let mut entries = Entries::new(&guest);
    let mut done = 0;
    ops::enter_lazy_mmu();
    for step in steps {
        let may_wait = entries.may_wait(*step);
        if entries.apply(*step) {
            assert!(may_wait || is_queue_empty(), "{step:?} waits");
            entries.look();
            done += 1;
        }
    }
    ops::leave_lazy_mmu();
    entries.look();
    assert_eq!(entries.waits, [false; PAGES]);

    for page in 0..PAGES {
        pte::set_now(
            entries.ptr(page),
            entries.pages[page],
            CallContext::in_test(),
        );
    }
    tlb::flush_all(CallContext::in_test());
    entries.process.exit();
    guest.assert_sound();
    done
}

mod tests {
    use super::*;
    use crate::properties::{
        config,
        regressions, //
    };
    use proptest::prelude::*;

    fn content() -> impl Strategy<Value = Content> {
        prop_oneof![
            2 => Just(Content::Empty),
            1 => Just(Content::Swapped),
            1 => Just(Content::Inaccessible),
            4 => (0..1u8 << FLAGS.len()).prop_map(Content::Present),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let page = || 0..PAGES;
        let range = || (0..PAGES, 1..4usize);
        let noted = prop_oneof![Just(bits::ACCESSED), Just(bits::DIRTY), Just(NOTED)];
        prop_oneof![
            4 => (page(), content()).prop_map(|(page, content)| Step::Set(page, content)),
            2 => (page(), content()).prop_map(|(page, content)| Step::SetNow(page, content)),
            2 => page().prop_map(Step::GetAndClear),
            2 => range().prop_map(|(first, count)| Step::GetAndClearRange(first, count)),
            2 => range().prop_map(|(first, count)| Step::Clear(first, count)),
            2 => range().prop_map(|(first, count)| Step::WriteProtect(first, count)),
            2 => (page(), 0..8u8).prop_map(|(page, which)| Step::Protect(page, which)),
            2 => (range(), noted).prop_map(|((first, count), noted)| {
                Step::ClearYoungDirty(first, count, noted)
            }),
            1 => Just(Step::ClearTable),
            2 => Just(Step::Section),
        ]
    }

    proptest! {
        #![proptest_config(config(60, regressions!("waiting")))]

        #[test]
        fn nothing_seems_to_have_waited(steps in prop::collection::vec(step(), 20..200)) {
            prop_assert!(check(&steps) >= steps.len() / 8);
        }
    }
}
