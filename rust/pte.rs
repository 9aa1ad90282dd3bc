// SPDX-License-Identifier: GPL-2.0-only

//! Sets, clears and protects entries of level 1.
//!
//! A table that Xen does not know, such as that of a process being set up or torn down, is written
//! like any other memory. All other tables are read-only and change by hypercalls. Generic code
//! also changes entries by atomic instructions, to unmap, move and share pages. In a table that Xen
//! knows each of these would fault and be emulated, which costs far more than a hypercall for many
//! entries. So generic code calls this module instead.
//!
//! All users of a table hold its lock while they change its entries. Under that lock this module
//! checks whether Xen knows the table. The same lock is held while that state changes.
//!
//! # Accessed and dirty bits
//!
//! The CPU sets accessed and dirty bits at any time. A dirty bit must not get lost. It can get lost
//! if an entry is writable and clean when it is read, and a thread writes to the page before Xen
//! changes the entry. For such an entry Xen is asked to keep both bits ([`Command::PreserveAd`]).
//! When the entry is cleared, they are read back from it. An entry with only these bits left counts
//! as empty.
//!
//! # What may wait
//!
//! In lazy MMU mode a change may wait in the queue. It takes effect when the section ends, which is
//! before the lock of the table is dropped, and before any later flush of TLBs. But code in such a
//! section may read an entry again, and other CPUs may rely on a change. So only these changes
//! wait:
//!
//! - An empty entry of a process or of the vmalloc area is filled ([`set`]). An entry that is not
//!   empty is replaced at once, because `copy_nonpresent_pte()` reads a swap entry again after it
//!   has replaced it.
//! - A range of entries that map pages of a process is cleared ([`clear`],
//!   [`get_and_clear_range`]). It is cleared at once if a marker of userfaultfd will replace an
//!   entry, or if the process is in `execve`, which moves the stack over itself.
//! - Flags of present entries change ([`modify_protection`], [`write_protect`],
//!   [`clear_young_dirty`]).
//!
//! All other changes are in effect on return. Code that calls `set_pte` changes a mapping of the
//! kernel and uses it next ([`set_now`]). Code that clears a single entry may set it again
//! ([`get_and_clear`]). `Documentation/lazy-mmu-callers.md` lists the callers in such sections.

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
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context;
use crate::platform::diag::tracepoints;
use crate::platform::diag::{
    report,
    stats, //
};
use crate::platform::early::phase::Early;
use crate::platform::kernel::kernel_data::{
    self,
    PAGE_TABLE_CHECK, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::{
    PinState,
    PinnedEntryPtr, //
};
use crate::platform::xen::abi::{
    Command,
    MmuUpdate,
    VaFlush, //
};
use crate::platform::xen::hypercall;
use kernel::macros::init_text;

/// The bits that the CPU sets in an entry.
const NOTED: usize = bits::ACCESSED | bits::DIRTY;

/// Neighbouring entries of one table.
#[derive(Clone, Copy)]
pub(crate) struct PteRange {
    first: EntryPtr,
    count: usize,
}

/// The contents of a range of entries, each read once.
struct Contents {
    first: MachineEntry,
    /// The flags that are set in any other entry.
    others: usize,
    /// Whether the CPU may still set the dirty bit of any entry.
    may_become_dirty: bool,
    /// Whether generic code does not read the entries again after it has cleared them.
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

    /// Returns when clearing the entries, which are of `mm`, has to take effect.
    #[inline(always)]
    fn when_cleared(&self, mm: Mm) -> Issue {
        lazy_if(self.is_final && mm.may_clear_later())
    }
}

/// Whether the CPU sets the dirty bit of `entry` when a thread writes to the page.
#[inline(always)]
fn may_become_dirty(entry: MachineEntry) -> bool {
    const WRITABLE: usize = bits::PRESENT | bits::RW;
    entry.raw() & (WRITABLE | bits::DIRTY) == WRITABLE
}

/// Whether `entry` maps a page, accessible or not (`pte_present()`), and no marker replaces it when
/// the page is unmapped.
#[inline(always)]
fn maps_page_for_good(entry: MachineEntry) -> bool {
    entry.raw() & (bits::PRESENT | bits::GLOBAL) != 0 && entry.raw() & bits::UFFD_WP == 0
}

impl PteRange {
    /// Returns the range of `count` entries from `first` on, all of which are in the same table.
    ///
    /// Context: any.
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

    /// Reports to the page table checker that the entries will be cleared.
    fn check(self, mm: Mm, address: Vaddr) {
        if !PAGE_TABLE_CHECK {
            return;
        }
        for (page, ptr) in self.ptrs().enumerate() {
            kernel_data::check_page_table_clear(mm, address.add(page * PAGE_SIZE), ptr.read());
        }
    }

    /// Changes the entries, in a table that Xen knows. `change` gets the number of an entry in the
    /// range and the entry; `None` leaves it as it is.
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

    /// Clears the entries, in a table of `mm` that Xen knows. No dirty bit can get lost in them.
    #[inline(always)]
    fn clear_known(
        self,
        mm: Mm,
        address: Vaddr,
        first: PinnedEntryPtr,
        issue: Issue,
        caller: CallContext<'_>,
    ) {
        stats::count_avoided_traps(self.count);
        match (self.count, issue) {
            (1, Issue::Now) => issue_at(mm, address, first, MachineEntry::EMPTY, caller),
            (1, _) => wait(Command::Normal, first, MachineEntry::EMPTY, caller),
            _ => self.clear_all(issue, caller),
        }
    }

    /// Not inlined into [`Self::clear_known`], which would need more registers for a single entry.
    #[inline(never)]
    fn clear_all(self, issue: Issue, caller: CallContext<'_>) {
        self.update(issue, Command::Normal, caller, |_, _| {
            Some(MachineEntry::EMPTY)
        });
    }

    /// Clears the entries except for their accessed and dirty bits, which stay until an entry is
    /// set again.
    ///
    /// Returns the first entry as it was, and the flags that were set in any of the others.
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

    /// Sets the first entry to `entry`, the others to the same with the frames that follow.
    #[inline(never)]
    fn set_all(self, mm: Mm, address: Vaddr, entry: MachineEntry, caller: CallContext<'_>) {
        let pseudo = convert::to_pseudo(entry);
        let nth = |page| convert::to_machine(pseudo.behind(page));

        for (page, ptr) in self.ptrs().enumerate() {
            tracepoints::set_pte(ptr, nth(page));
        }
        match self.first.pin_state() {
            PinState::Unpinned(_) => self.store(|page, _| nth(page)),
            PinState::Pinned(_) => {
                let fills = || self.ptrs().all(|ptr| ptr.read().is_none());
                let issue = lazy_if(mm.may_fill_later(address) && fills());
                self.update(issue, Command::Normal, caller, |page, _| Some(nth(page)));
            }
        }
    }

    /// Clears the entries of a table that Xen does not know.
    #[inline(never)]
    fn clear_private(self) {
        self.store(|_, _| MachineEntry::EMPTY);
    }

    /// Changes the entries, in a table that Xen does not know and that no CPU uses.
    fn store(self, change: impl Fn(usize, MachineEntry) -> MachineEntry) {
        for (number, ptr) in self.ptrs().enumerate() {
            if let PinState::Unpinned(private) = ptr.pin_state() {
                private.store(change(number, ptr.read()));
            }
        }
    }
}

/// Returns when a change takes effect that may or may not wait.
#[inline(always)]
fn lazy_if(may_wait: bool) -> Issue {
    if may_wait {
        Issue::LazyMmu
    } else {
        Issue::Now
    }
}

/// Leaves a change in the queue. Context: the task is in lazy MMU mode.
#[inline(always)]
fn wait(command: Command, at: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    let at = p2m::machine_address(at.ptr().vaddr());
    update_later(command, at, entry, caller);
}

/// Makes a change at once, after the changes that wait.
#[inline(always)]
fn issue(command: Command, at: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    let at = p2m::machine_address(at.ptr().vaddr());
    if !is_queue_bypassed() {
        Batch::open(Issue::Now, caller).update(command, at, entry);
        return;
    }
    let update = MmuUpdate::new(command, at, entry);
    if let Err(error) = hypercall::mmu_update_one(update) {
        report::report_refusal(&update, error.errno(), caller.site());
    }
}

/// As [`issue`], for the entry that maps the page at `address` in `mm`.
///
/// Xen finds an entry with less work by the address that it maps than by the machine address of the
/// entry. The two name the same entry only if Xen has loaded this address space, now and after any
/// preemption. So the address space has to be the current task's own as well, and no root may wait
/// in the queue.
#[inline(never)]
fn issue_at(
    mm: Mm,
    address: Vaddr,
    at: PinnedEntryPtr,
    entry: MachineEntry,
    caller: CallContext<'_>,
) {
    let by_address = mm.is_loaded_here() && is_queue_empty();
    if by_address && hypercall::update_va_mapping(address, entry, VaFlush::None).is_ok() {
        return;
    }
    // If Xen has refused, it refuses this as well, and the refusal is reported.
    issue(Command::Normal, at, entry, caller);
}

/// Changes flags of a present entry.
#[inline(always)]
fn change(command: Command, at: PinnedEntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    if context::is_lazy_mmu_mode_active() {
        wait(command, at, entry, caller);
    } else {
        issue(command, at, entry, caller);
    }
}

/// Sets an entry (`set_pte()`). Effective on return.
///
/// Context: any; the caller holds the lock of the table, or nobody else uses the table.
#[inline(always)]
pub(crate) fn set_now(ptr: EntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    match ptr.pin_state() {
        PinState::Pinned(ptr) => issue(Command::Normal, ptr, entry, caller),
        PinState::Unpinned(ptr) => ptr.store(entry),
    }
}

/// Sets an entry while the first page tables are built. Effective on return.
///
/// Most of these tables are still writable, because Xen does not know them yet. A write to a table
/// that Xen knows is emulated. Early fixed mappings change by hypercall, because they may be used
/// before the kernel asks Xen to emulate writes (`VMASST_TYPE_writable_pagetables`).
///
/// Context: start of day.
#[init_text]
pub(crate) fn set_early(early: Early, ptr: EntryPtr, entry: MachineEntry, caller: CallContext<'_>) {
    if crate::platform::paging::entry_ptr::is_early_ioremap(ptr) {
        issue(Command::Normal, ptr.assume_pinned(), entry, caller);
    } else {
        ptr.early(early).store(entry);
    }
}

/// Sets a range (`set_ptes()`): its first entry to `entry`, the others to the same with the frames
/// that follow. May wait where it fills empty entries.
///
/// Context: the caller holds the lock of the table, or nobody else uses the table.
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
    tracepoints::set_pte(range.first, entry);
    match range.first.pin_state() {
        PinState::Unpinned(first) => first.store(entry),
        PinState::Pinned(first) => set_known(mm, address, first, entry, caller),
    }
}

/// Not inlined into [`set()`], which would need more registers for a store.
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

/// Clears an entry (`ptep_get_and_clear()`); returns it with its accessed and dirty bits. Effective
/// on return.
///
/// Context: the caller holds the lock of the table, or nobody else uses the table.
pub(crate) fn get_and_clear(
    mm: Mm,
    address: Vaddr,
    ptr: EntryPtr,
    caller: CallContext<'_>,
) -> MachineEntry {
    let range = PteRange::new(ptr, 1);
    if !is_queue_bypassed() {
        // A change of this entry may wait: issue it now.
        drop(Batch::open(Issue::Now, caller));
    }
    let contents = Contents::of(range);
    range.check(mm, address);
    match ptr.pin_state() {
        PinState::Unpinned(private) => private.store(MachineEntry::EMPTY),
        // An entry of the kernel has to be all zero, because ptep_try_set() compares it with that.
        PinState::Pinned(_) if contents.may_become_dirty && mm != Mm::kernel() => {
            return range.clear_noted(contents, caller).0;
        }
        PinState::Pinned(known) => range.clear_known(mm, address, known, Issue::Now, caller),
    }
    contents.first
}

/// Clears a range (`get_and_clear_full_ptes()`); returns its first entry, and the flags that were
/// set in any of the others. May wait, see the module.
///
/// Context: the caller holds the lock of the table.
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
        PinState::Pinned(first) => {
            range.clear_known(mm, address, first, contents.when_cleared(mm), caller);
        }
    }
    (contents.first, contents.others)
}

/// Clears a range whose accessed and dirty bits do not matter (`clear_full_ptes()`). May wait, see
/// the module.
///
/// Context: the caller holds the lock of the table.
pub(crate) fn clear(mm: Mm, address: Vaddr, range: PteRange, caller: CallContext<'_>) {
    range.check(mm, address);
    match range.first.pin_state() {
        PinState::Pinned(first) => {
            let issue = Contents::of(range).when_cleared(mm);
            range.clear_known(mm, address, first, issue, caller);
        }
        PinState::Unpinned(_) => range.clear_private(),
    }
}

/// Makes a range read-only (`wrprotect_ptes()`). May wait.
///
/// Context: the caller holds the lock of the table.
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

/// Clears the accessed bits of a range, or the dirty bits, or both (`clear_young_dirty_ptes()`), as
/// `noted` says. May wait.
///
/// If the dirty bit is to be cleared, a write in the meantime counts as made before. Otherwise an
/// entry that may become dirty is cleared and set again, so that its dirty bit is kept.
///
/// Context: the caller holds the lock of the table.
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
        kernel_data::check_page_table_set(mm, address, ptr, entry);
        set_now(ptr, entry, caller);
    }
}

/// Changes the protection of a present entry, and keeps its accessed and dirty bits
/// (`ptep_modify_prot_commit()`). May wait.
///
/// An entry for a page of another domain is cleared if it is to become writable, read-only or
/// inaccessible.
///
/// Context: the caller holds the lock of the table.
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
    // The generic functions report the old entry when they clear it, and the new one when they set
    // it. Here the old entry stays until the new one replaces it, so one report is enough.
    kernel_data::check_page_table_set(mm, address, ptr, entry);
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
    use crate::platform::diag::kunit;
    use crate::platform::paging::entry_ptr;
    use crate::platform::paging::pages::ScratchMemory;
    use crate::tlb;
    use kernel::prelude::*;

    const PAGES: usize = 4;

    /// Returns the flags that are set in any entry except the first `skipped`.
    fn flags(range: PteRange, skipped: usize) -> usize {
        let entries = range.ptrs().skip(skipped).map(EntryPtr::read);
        entries.fold(0, |flags, entry| flags | entry.protection().raw())
    }

    fn nth(range: PteRange, number: usize) -> EntryPtr {
        let index = Index::wrapping(range.first.index().raw() + number);
        range.first.table().entry(index)
    }

    /// Runs `test` on the entries of memory of its own, and restores them. Skips without Xen.
    fn with_scratch(test: impl FnOnce(PteRange, Vaddr)) -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // The entries of one half are in one table, whatever the address of the memory is.
        let memory = ScratchMemory::new(2 * PAGES).ok_or(ENOMEM)?;
        let mut start = memory.start();
        let (mut first, _) = entry_ptr::lookup_address(start).ok_or(EINVAL)?;
        if first.index().raw() + PAGES > ENTRIES {
            start = start.add(PAGES * PAGE_SIZE);
            (first, _) = entry_ptr::lookup_address(start).ok_or(EINVAL)?;
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
