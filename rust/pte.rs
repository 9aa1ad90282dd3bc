// SPDX-License-Identifier: GPL-2.0

//! Sets, clears and protects entries of level 1.
//!
//! A table that Xen does not know, that of a process under construction or on its way out, is
//! written to like any memory. The others are read-only and change by hypercalls. That holds for
//! what generic code does by atomic instructions as well, to unmap, move and share pages: each of
//! those would fault in such a table and be emulated, which costs more than all the rest.
//!
//! Whether Xen knows a table is looked at under the lock that its users hold while they change its
//! entries. The lock is also held while that changes.
//!
//! # What the CPU notes
//!
//! The CPU sets accessed and dirty bits at any time. A dirty bit must not get lost. It can be if an
//! entry is writable and clean when it is read, and a thread writes to the page before Xen changes
//! the entry. Then Xen keeps both bits ([`Command::PreserveAd`]), and they are read back from an
//! entry that was cleared: one with only these bits left counts as empty.
//!
//! # What may wait
//!
//! In lazy MMU mode a change may wait in the queue. It takes effect when the section ends, before
//! the lock of the table is dropped, and before any later flush of TLBs. Code in such a section may
//! still look at an entry again, and other CPUs may rely on a change. So only these wait:
//!
//! - An empty entry is filled ([`set`]), in a process or in the vmalloc area. To replace one that
//!   is not empty may not wait: a caller that has made a swap entry present looks at it again
//!   (`copy_nonpresent_pte()`).
//! - Entries that map pages of a process are cleared in a range ([`clear`],
//!   [`get_and_clear_range`]), unless a marker takes their place (userfaultfd), or the process is
//!   in `execve`, which moves its stack over itself.
//! - Flags of a present entry change ([`modify_protection`], [`write_protect`],
//!   [`clear_young_dirty`]).
//!
//! All else is in effect on return: the `set_pte` of code that changes mappings of the kernel and
//! uses them next ([`set_now`]), and a single entry that is cleared and then set again
//! ([`get_and_clear`]). `Documentation/lazy-mmu-callers.md` lists who calls what in a section.

#![forbid(unsafe_code)]

use crate::addr::Vaddr;
use crate::convert;
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::level::PAGE_SIZE;
use crate::multicall::{
    is_queue_bypassed,
    is_queue_empty,
    update_later,
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::{
    check_page_table_clear,
    check_page_table_set,
    is_lazy_mmu_mode_active,
    mmu_update_one,
    report_refusal,
    stats,
    trace,
    update_va_mapping,
    CallContext,
    Command,
    Early,
    EntryPtr,
    Mm,
    MmuUpdate,
    PinState,
    PinnedEntryPtr,
    VaFlush,
    PAGE_TABLE_CHECK, //
};
use kernel::macros::init_text;

/// What the CPU notes in an entry.
const NOTED: usize = bits::ACCESSED | bits::DIRTY;

/// Neighbouring entries of one table.
#[derive(Clone, Copy)]
pub(crate) struct PteRange {
    first: EntryPtr,
    count: usize,
}

/// What a range of entries holds, as read once.
struct Contents {
    first: MachineEntry,
    /// The flags that any other entry has.
    others: usize,
    /// Whether the CPU may set the dirty bit of any entry from now on.
    may_become_dirty: bool,
    /// Whether nobody looks at the entries again when they are cleared.
    is_final: bool,
}

impl Contents {
    #[inline(always)]
    fn of(range: PteRange) -> Self {
        let first = range.first.read();
        let mut contents = Self {
            first,
            others: 0,
            may_become_dirty: may_become_dirty(first),
            is_final: maps_page_for_good(first),
        };
        for entry in range.ptrs().skip(1).map(EntryPtr::read) {
            contents.others |= entry.protection().raw();
            contents.may_become_dirty |= may_become_dirty(entry);
            contents.is_final &= maps_page_for_good(entry);
        }
        contents
    }
}

/// Whether the CPU sets the dirty bit of `entry` when a thread writes to the page.
#[inline(always)]
fn may_become_dirty(entry: MachineEntry) -> bool {
    const WRITABLE: usize = bits::PRESENT | bits::RW;
    entry.raw() & (WRITABLE | bits::DIRTY) == WRITABLE
}

/// Whether `entry` maps a page, accessible or not (`pte_present()`), and no marker takes its place
/// when that is unmapped.
#[inline(always)]
fn maps_page_for_good(entry: MachineEntry) -> bool {
    entry.raw() & (bits::PRESENT | bits::GLOBAL) != 0 && entry.raw() & bits::UFFD_WP == 0
}

impl PteRange {
    /// Returns the range of `count` entries from `first` on, which do not reach beyond its table.
    pub(crate) fn new(first: EntryPtr, count: usize) -> Self {
        Self { first, count }
    }

    fn ptrs(self) -> impl Iterator<Item = EntryPtr> {
        let (table, first) = (self.first.table(), self.first.index());
        first
            .and_behind()
            .take(self.count)
            .map(move |index| table.entry(index))
    }

    /// Reports to the page table checker that the entries go.
    fn check(self, mm: Mm, address: Vaddr) {
        if !PAGE_TABLE_CHECK {
            return;
        }
        for (page, ptr) in self.ptrs().enumerate() {
            check_page_table_clear(mm, address.add(page * PAGE_SIZE), ptr.read());
        }
    }

    /// Changes each entry of a table that Xen knows, given its number in the range; `None` leaves
    /// one as it is.
    #[inline(always)]
    fn update(
        self,
        issue: Issue,
        command: Command,
        caller: CallContext<'_>,
        change: impl Fn(usize, MachineEntry) -> Option<MachineEntry>,
    ) {
        let start = p2m::machine_address(self.first.vaddr());
        let mut batch = Batch::open(issue, caller);
        for (number, ptr) in self.ptrs().enumerate() {
            if let Some(entry) = change(number, ptr.read()) {
                batch.update(command, start.add(number * size_of::<usize>()), entry);
            }
        }
    }

    /// Clears entries of `mm` that Xen knows, in which no dirty bit can get lost.
    #[inline(always)]
    fn clear_known(
        self,
        mm: Mm,
        address: Vaddr,
        first: PinnedEntryPtr,
        is_final: bool,
        caller: CallContext<'_>,
    ) {
        stats::count_avoided_traps(self.count);
        let waits = is_final && mm.may_clear_later();
        match (self.count, waits) {
            (1, true) => wait(Command::Normal, first, MachineEntry::EMPTY, caller),
            (1, false) => issue_at(mm, address, first, MachineEntry::EMPTY, caller),
            _ => self.clear_all(waits, caller),
        }
    }

    /// Apart from [`Self::clear_known`], so that a single entry needs no more registers than it
    /// does.
    #[inline(never)]
    fn clear_all(self, waits: bool, caller: CallContext<'_>) {
        let issue = if waits { Issue::LazyMmu } else { Issue::Now };
        self.update(issue, Command::Normal, caller, |_, _| {
            Some(MachineEntry::EMPTY)
        });
    }

    /// Clears the entries but for what the CPU notes, which stays until they are set again.
    ///
    /// Returns the first entry as it was, and the flags that any of the others had.
    #[inline(never)]
    fn clear_noted(self, before: Contents, caller: CallContext<'_>) -> (MachineEntry, usize) {
        stats::count_avoided_traps(self.count);
        self.update(Issue::Now, Command::PreserveAd, caller, |_, _| {
            Some(MachineEntry::EMPTY)
        });
        let after = Contents::of(self);
        (
            before.first.with(after.first.raw() & NOTED),
            before.others | after.others & NOTED,
        )
    }

    /// Sets the first entry to `entry`, the others to the same for the frames behind.
    #[inline(never)]
    fn set_all(self, mm: Mm, address: Vaddr, entry: MachineEntry, caller: CallContext<'_>) {
        let pseudo = convert::to_pseudo(entry);
        let nth = |page| convert::to_machine(pseudo.behind(page));

        for (page, ptr) in self.ptrs().enumerate() {
            trace::set_pte(ptr, nth(page));
        }
        match self.first.pin_state() {
            PinState::Unpinned(_) => self.store(|page, _| nth(page)),
            PinState::Pinned(_) => {
                let fills = || self.ptrs().all(|ptr| ptr.read().is_none());
                let waits = mm.may_fill_later(address) && fills();
                let issue = if waits { Issue::LazyMmu } else { Issue::Now };
                self.update(issue, Command::Normal, caller, |page, _| Some(nth(page)));
            }
        }
    }

    /// Clears the entries of a table that Xen does not know.
    #[inline(never)]
    fn clear_private(self) {
        self.store(|_, _| MachineEntry::EMPTY);
    }

    /// Changes each of the entries of a table that Xen does not know, and that no CPU uses.
    fn store(self, change: impl Fn(usize, MachineEntry) -> MachineEntry) {
        for (number, ptr) in self.ptrs().enumerate() {
            if let PinState::Unpinned(private) = ptr.pin_state() {
                private.store(change(number, ptr.read()));
            }
        }
    }
}

/// Leaves a change in the queue. Context: the task is in lazy MMU mode.
#[inline(always)]
fn wait(command: Command, at: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    let at = p2m::machine_address(at.ptr().vaddr());
    update_later(command, at, entry, caller);
}

/// Makes a change, behind what waits.
#[inline(always)]
fn issue(command: Command, at: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    let at = p2m::machine_address(at.ptr().vaddr());
    if !is_queue_bypassed() {
        Batch::open(Issue::Now, caller).update(command, at, entry);
        return;
    }
    let update = MmuUpdate::new(command, at, entry);
    if let Err(error) = mmu_update_one(update) {
        let (target, value) = update.raw();
        report_refusal(c"mmu_update", target, value, error.errno(), caller.site());
    }
}

/// As [`issue`], for the entry that maps the page at `address` in `mm`.
///
/// Xen finds the entry by its address with less work than by its place. That is the same entry
/// only if the address space is the one that Xen has loaded, now and after any preemption, so that
/// it has to be the current task's own as well; no root may wait in the queue.
#[inline(never)]
fn issue_at(
    mm: Mm,
    address: Vaddr,
    at: PinnedEntryPtr,
    entry: MachineEntry,
    caller: CallContext<'_>,
) {
    let by_address = mm.is_loaded_here() && is_queue_empty();
    if by_address && update_va_mapping(address, entry, VaFlush::None).is_ok() {
        return;
    }
    // If Xen has refused, it says why again.
    issue(Command::Normal, at, entry, caller);
}

/// Changes flags of a present entry.
#[inline(always)]
fn change(command: Command, at: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    if is_lazy_mmu_mode_active() {
        wait(command, at, entry, caller);
    } else {
        issue(command, at, entry, caller);
    }
}

/// Sets an entry (`set_pte()`). Effective on return.
///
/// Context: any; holds the lock of the table, or has it for itself.
#[inline(always)]
pub(crate) fn set_now(ptr: EntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    match ptr.pin_state() {
        PinState::Pinned(ptr) => issue(Command::Normal, ptr, entry, caller),
        PinState::Unpinned(ptr) => ptr.store(entry),
    }
}

/// Sets an entry while the first page tables are made. Effective on return.
///
/// Most of these tables are known to nobody yet, and writable; the write to one that Xen knows is
/// emulated. The fixed mappings are the exception, as they may be used before Xen is told to.
///
/// Context: start of day.
#[init_text]
pub(crate) fn set_early(early: Early, ptr: EntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    if crate::platform::is_early_ioremap(ptr) {
        issue(Command::Normal, ptr.assume_pinned(), entry, caller);
    } else {
        ptr.early(early).store(entry);
    }
}

/// Sets a range (`set_ptes()`): its first entry to `entry`, the others to the same for the frames
/// behind. May wait where it fills empty entries.
///
/// Context: holds the lock of the table, or has it for itself.
#[inline(always)]
pub(crate) fn set(
    mm: Mm,
    address: Vaddr,
    range: PteRange,
    entry: MachineEntry,
    caller: CallContext<'_>,
) {
    if range.count != 1 {
        return range.set_all(mm, address, entry, caller);
    }
    trace::set_pte(range.first, entry);
    match range.first.pin_state() {
        PinState::Unpinned(first) => first.store(entry),
        PinState::Pinned(first) => set_known(mm, address, first, entry, caller),
    }
}

/// Apart from [`set()`], so that a store needs no more registers than it does.
#[inline(never)]
fn set_known(
    mm: Mm,
    address: Vaddr,
    first: PinnedEntryPtr,
    entry: MachineEntry,
    caller: CallContext<'_>,
) {
    if mm.may_fill_later(address) && first.ptr().read().is_none() {
        wait(Command::Normal, first, entry, caller);
    } else {
        issue_at(mm, address, first, entry, caller);
    }
}

/// Clears an entry (`ptep_get_and_clear()`); returns it with all that the CPU has noted. Effective
/// on return.
///
/// Context: holds the lock of the table, or has it for itself.
pub(crate) fn get_and_clear(
    mm: Mm,
    address: Vaddr,
    ptr: EntryPtr,
    caller: CallContext<'_>,
) -> MachineEntry {
    let range = PteRange::new(ptr, 1);
    if !is_queue_bypassed() {
        // What waits may be about this entry.
        drop(Batch::open(Issue::Now, caller));
    }
    let contents = Contents::of(range);
    range.check(mm, address);
    match ptr.pin_state() {
        PinState::Unpinned(private) => private.store(MachineEntry::EMPTY),
        // Code that sets an entry of the kernel by an instruction wants it all zero.
        PinState::Pinned(_) if contents.may_become_dirty && mm != Mm::kernel() => {
            return range.clear_noted(contents, caller).0;
        }
        PinState::Pinned(known) => range.clear_known(mm, address, known, false, caller),
    }
    contents.first
}

/// Clears a range (`get_and_clear_full_ptes()`); returns its first entry, and the flags that any of
/// the others had. May wait as said for the module.
///
/// Context: holds the lock of the table.
pub(crate) fn get_and_clear_range(
    mm: Mm,
    address: Vaddr,
    range: PteRange,
    caller: CallContext<'_>,
) -> (MachineEntry, usize) {
    let contents = Contents::of(range);

    range.check(mm, address);
    match range.first.pin_state() {
        PinState::Unpinned(_) => range.clear_private(),
        PinState::Pinned(_) if contents.may_become_dirty => {
            return range.clear_noted(contents, caller);
        }
        PinState::Pinned(first) => range.clear_known(mm, address, first, contents.is_final, caller),
    }
    (contents.first, contents.others)
}

/// Clears a range whose accessed and dirty bits do not matter (`clear_full_ptes()`). May wait as
/// said for the module.
///
/// Context: holds the lock of the table.
pub(crate) fn clear(mm: Mm, address: Vaddr, range: PteRange, caller: CallContext<'_>) {
    range.check(mm, address);
    match range.first.pin_state() {
        PinState::Pinned(first) => {
            let is_final = Contents::of(range).is_final;
            range.clear_known(mm, address, first, is_final, caller);
        }
        PinState::Unpinned(_) => range.clear_private(),
    }
}

/// Makes a range read-only (`wrprotect_ptes()`). May wait.
///
/// Context: holds the lock of the table.
pub(crate) fn write_protect(range: PteRange, caller: CallContext<'_>) {
    match range.first.pin_state() {
        PinState::Unpinned(_) => range.store(|_, entry| entry.without(bits::RW)),
        PinState::Pinned(_) => {
            stats::count_avoided_traps(range.count);
            range.update(Issue::LazyMmu, Command::PreserveAd, caller, |_, entry| {
                let is_writable = entry.is_present() && entry.raw() & bits::RW != 0;
                is_writable.then_some(entry.without(bits::RW))
            });
        }
    }
}

/// Clears the accessed bits of a range, or the dirty bits, or both (`clear_young_dirty_ptes()`).
/// May wait.
///
/// A write that is going on meanwhile counts as made before if its dirty bit is to be cleared. If
/// not, an entry that may become dirty is cleared and set again.
///
/// Context: holds the lock of the table.
pub(crate) fn clear_young_dirty(
    mm: Mm,
    address: Vaddr,
    range: PteRange,
    noted: usize,
    caller: CallContext<'_>,
) {
    let PinState::Pinned(_) = range.first.pin_state() else {
        return range.store(|_, entry| entry.without(noted));
    };
    stats::count_avoided_traps(range.count);
    if noted & bits::DIRTY != 0 || !Contents::of(range).may_become_dirty {
        range.update(Issue::LazyMmu, Command::Normal, caller, |_, entry| {
            (entry.raw() & noted != 0).then_some(entry.without(noted))
        });
        return;
    }
    for (page, ptr) in range.ptrs().enumerate() {
        let address = address.add(page * PAGE_SIZE);
        let entry = get_and_clear(mm, address, ptr, caller).without(noted);
        check_page_table_set(mm, address, ptr, entry);
        set_now(ptr, entry, caller);
    }
}

/// Changes the protection of a present entry, and keeps what the CPU notes in it
/// (`ptep_modify_prot_commit()`). May wait.
///
/// A page of another domain that is to become writable, read-only or inaccessible is unmapped.
///
/// Context: holds the lock of the table.
#[inline(always)]
pub(crate) fn modify_protection(
    mm: Mm,
    address: Vaddr,
    ptr: EntryPtr,
    entry: MachineEntry,
    caller: CallContext<'_>,
) {
    let (command, entry) = match entry.has_lost_frame() {
        true => (Command::Normal, ptr.read().with_flags_of(entry)),
        false => (Command::PreserveAd, entry),
    };
    // The generic pair reports to the checker what it takes out and what it puts in; here the old
    // entry stays until the new one replaces it.
    check_page_table_set(mm, address, ptr, entry);
    change(command, ptr.assume_pinned(), entry, caller);
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_pte)]
mod tests {
    use super::*;
    use crate::level::{
        Index,
        ENTRIES, //
    };
    use crate::platform::{
        lookup_address,
        skip_without_xen,
        ScratchMemory, //
    };
    use crate::tlb;
    use kernel::prelude::*;

    const PAGES: usize = 4;

    /// Returns the flags that any entry has, `skipped` at the start left out.
    fn flags(range: PteRange, skipped: usize) -> usize {
        let entries = range.ptrs().skip(skipped).map(EntryPtr::read);
        entries.fold(0, |flags, entry| flags | entry.protection().raw())
    }

    fn nth(range: PteRange, number: usize) -> EntryPtr {
        let index = Index::wrapping(range.first.index().raw() + number);
        range.first.table().entry(index)
    }

    /// Runs `test` on the entries of memory that nobody else uses; puts them back. Skips without
    /// Xen.
    fn with_scratch(test: impl FnOnce(PteRange, Vaddr)) -> Result {
        if skip_without_xen() {
            return Ok(());
        }
        // Some of it lies in one table, whatever its address is.
        let memory = ScratchMemory::new(2 * PAGES).ok_or(ENOMEM)?;
        let mut start = memory.start();
        let (mut first, _) = lookup_address(start).ok_or(EINVAL)?;
        if first.index().raw() + PAGES > ENTRIES {
            start = start.add(PAGES * PAGE_SIZE);
            (first, _) = lookup_address(start).ok_or(EINVAL)?;
        }
        let range = PteRange::new(first, PAGES);
        let before: [MachineEntry; PAGES] = core::array::from_fn(|page| nth(range, page).read());

        test(range, start);
        for (ptr, entry) in range.ptrs().zip(before) {
            set_now(ptr, entry, CallContext::in_test());
        }
        tlb::flush_all(CallContext::in_test());
        Ok(())
    }

    #[test]
    fn cleared_entries_are_returned_and_gone() -> Result {
        with_scratch(|range, start| {
            let (first, others) = (range.first.read(), flags(range, 1));
            let cleared = get_and_clear_range(Mm::kernel(), start, range, CallContext::in_test());
            assert_eq!(cleared, (first, others));
            assert!(range.ptrs().all(|ptr| ptr.read().is_none()));
        })
    }

    #[test]
    fn cleared_kernel_entries_are_all_zero() -> Result {
        with_scratch(|range, start| {
            clear(Mm::kernel(), start, range, CallContext::in_test());
            assert!(range.ptrs().all(|ptr| ptr.read().raw() == 0));
        })
    }

    #[test]
    fn a_cleared_kernel_entry_is_returned_and_all_zero() -> Result {
        with_scratch(|range, start| {
            let before = range.first.read();
            let cleared = get_and_clear(Mm::kernel(), start, range.first, CallContext::in_test());
            assert_eq!((cleared, range.first.read().raw()), (before, 0));
        })
    }

    #[test]
    fn what_the_cpu_noted_stays_behind() -> Result {
        // Mappings of the vmalloc area are made with both bits set.
        with_scratch(|range, _| {
            let before = Contents::of(range);
            let (first, others) = (before.first, before.others);
            let cleared = range.clear_noted(before, CallContext::in_test());
            assert_eq!(cleared, (first, others));
            assert!(range.ptrs().all(|ptr| ptr.read().raw() == NOTED));
        })
    }

    #[test]
    fn write_protection_leaves_all_else() -> Result {
        with_scratch(|range, _| {
            let before = range.first.read();
            write_protect(range, CallContext::in_test());
            assert_eq!(range.first.read(), before.without(bits::RW));
            assert_eq!(flags(range, 0) & bits::RW, 0);
        })
    }

    #[test]
    fn accessed_and_dirty_bits_are_cleared() -> Result {
        with_scratch(|range, start| {
            clear_young_dirty(Mm::kernel(), start, range, NOTED, CallContext::in_test());
            assert_eq!(flags(range, 0) & NOTED, 0);
            assert!(range.ptrs().all(|ptr| ptr.read().is_present()));
        })
    }
}
