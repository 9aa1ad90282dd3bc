// SPDX-License-Identifier: GPL-2.0-only

//! How entries are set and cleared: by a store or by Xen, in which order, and which bits are kept.

use crate::addr::{
    Mfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection, //
};
use crate::guest::{
    generic,
    Access,
    Guest,
    GuestConfig,
    Process,
    PAGE, //
};
use crate::level::{
    Index,
    Level, //
};
use crate::multicall::{
    is_queue_empty,
    Batch,
    Issue, //
};
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::kernel::address;
use crate::platform::kernel::layout::VSYSCALL;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::{
    ExtOp,
    FlushRange, //
};
use crate::pte::{
    self,
    PteRange, //
};
use crate::{
    convert,
    p2m,
    pin,
    suspend,
    tlb,
    upper, //
};

const BY: CallContext<'_> = CallContext::in_test();

/// Pages of a test's process.
const START: usize = 8 * PAGE;
const PAGES: usize = 4;

fn guest() -> Guest {
    Guest::boot(GuestConfig::dom0(3000).with_cpus(2))
}

/// Returns a process with contents in its pages.
fn process(guest: &Guest) -> Process {
    let mut process = guest.spawn();
    process.map(START, PAGES, Access::Write);
    for page in 0..PAGES {
        process.write(START + page * PAGE, 1);
    }
    process
}

fn ptr(process: &Process, page: usize) -> EntryPtr {
    let at = Vaddr::new(START + page * PAGE);
    generic::find(process.mm(), Level::L1, at).unwrap()
}

fn range(process: &Process) -> PteRange {
    PteRange::new(ptr(process, 0), PAGES)
}

/// Returns how many traps into Xen `action` takes.
fn traps(guest: &Guest, action: impl FnOnce()) -> u64 {
    let before = guest.host().machine.borrow().stats();
    action();
    let work = guest.host().machine.borrow().stats() - before;
    work.world_entries + work.emulated_stores
}

#[test]
fn tables_that_xen_does_not_know_are_filled_without_it() {
    let guest = guest();
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let table = Table::at(address::pfn_to_virt(page.pfn()));
    let entry = MachineEntry::from_raw(bits::KERNEL_TABLE | 0x5000);
    let nth = |index| table.entry(Index::wrapping(index));
    let count = traps(&guest, || {
        pte::set_now(nth(0), entry, BY);
        upper::set(nth(1), entry, Level::L3, BY);
        upper::set_pmd(nth(2), entry, BY);
    });
    assert_eq!(count, 0);
    assert!((0..3).all(|index| nth(index).read() == entry));

    let range = PteRange::new(nth(0), 2);
    let count = traps(&guest, || {
        pte::write_protect(range, BY);
        assert!((0..2).all(|index| nth(index).read() == entry.without(bits::RW)));
        let (first, others) = pte::get_and_clear_range(Mm::kernel(), Vaddr::new(0), range, BY);
        assert_eq!(first, entry.without(bits::RW));
        assert_eq!(others, first.protection().raw());
        pte::clear(Mm::kernel(), Vaddr::new(0), PteRange::new(nth(2), 1), BY);
    });
    assert_eq!(count, 0);
    assert!((0..3).all(|index| nth(index).read().raw() == 0));
    drop(page);
    guest.assert_sound();
}

#[test]
fn a_new_root_and_its_user_root_get_the_same_entries() {
    let guest = guest();
    let process = Process::new(guest.pages.clone()).unwrap();
    let root = process.mm().root();
    let user_root = root.user_root().unwrap();
    let (first, last) = (Index::FIRST, Index::wrapping(255));
    let entry = MachineEntry::from_raw(bits::USER_TABLE | 0x5000);
    let set = |index, entry| {
        let ptr = crate::platform::paging::root::RootEntryPtr::at(root.table().entry(index));
        upper::set_root(ptr, entry, BY);
    };
    let count = traps(&guest, || {
        for index in [first, last] {
            set(index, entry);
            assert_eq!(root.table().entry(index).read(), entry);
            assert_eq!(user_root.entry(index).read(), entry);
            set(index, MachineEntry::EMPTY);
        }
        // The user root does not get entries of the kernel's part.
        let kernel = Index::wrapping(256);
        let before = (
            root.table().entry(kernel).read(),
            user_root.entry(kernel).read(),
        );
        set(kernel, entry);
        assert_eq!(user_root.entry(kernel).read(), before.1);
        set(kernel, before.0);
    });
    assert_eq!(count, 0);
    process.exit();
    guest.assert_sound();
}

#[test]
fn a_change_of_protection_keeps_the_bits_of_the_cpu() {
    let guest = guest();
    let mut process = process(&guest);
    let ptr = ptr(&process, 0);
    let dirty = ptr.read();
    assert_ne!(dirty.raw() & bits::DIRTY, 0);
    let new = dirty.without(bits::RW | bits::DIRTY | bits::ACCESSED);
    pte::modify_protection(process.mm(), Vaddr::new(START), ptr, new, BY);
    tlb::flush_local(BY);
    let noted = bits::DIRTY | bits::ACCESSED;
    assert_eq!(ptr.read(), dirty.without(bits::RW));
    assert_eq!(ptr.read().raw() & noted, noted);

    pte::modify_protection(process.mm(), Vaddr::new(START), ptr, dirty, BY);
    process.write(START, 2);
    process.exit();
    guest.assert_sound();
}

#[test]
fn ranges_of_a_table_in_use_go_to_xen_at_once() {
    let guest = guest();
    let process = process(&guest);
    let entries = || -> Vec<_> { (0..PAGES).map(|page| ptr(&process, page).read()).collect() };
    let before = entries();
    let count = traps(&guest, || pte::write_protect(range(&process), BY));
    assert_eq!(count, 1);
    for (page, (old, new)) in before.iter().zip(entries()).enumerate() {
        assert_eq!(old.without(bits::RW), new, "page {page}");
    }
    // Read-only and absent entries stay as they are.
    let count = traps(&guest, || pte::write_protect(range(&process), BY));
    assert_eq!(count, 0);
    for (page, entry) in before.into_iter().enumerate() {
        pte::set_now(ptr(&process, page), entry, BY);
    }
    process.exit();
    guest.assert_sound();
}

/// The bits that the CPU sets in entries.
const NOTED: usize = bits::ACCESSED | bits::DIRTY;

/// Clears the range, where the CPU has set the bits `noted`, while one CPU uses the process, or
/// both if `is_shared`. Returns what was cleared, and the entries afterwards.
fn cleared(is_shared: bool, noted: usize) -> ((MachineEntry, usize), Vec<usize>) {
    let guest = guest();
    let process = process(&guest);
    let before: Vec<_> = (0..PAGES).map(|page| ptr(&process, page).read()).collect();
    if is_shared {
        guest.switch_to(1);
        process.run();
        guest.switch_to(0);
    }
    for (page, entry) in before.iter().enumerate() {
        pte::set_now(ptr(&process, page), entry.without(NOTED).with(noted), BY);
    }
    let ret = pte::get_and_clear_range(process.mm(), Vaddr::new(START), range(&process), BY);
    let left = (0..PAGES).map(|page| ptr(&process, page).read().raw());
    let left: Vec<_> = left.collect();
    assert_eq!(ret.0.mfn(), before[0].mfn());
    for (page, entry) in before.into_iter().enumerate() {
        pte::set_now(ptr(&process, page), entry, BY);
    }
    tlb::flush_all(BY);
    process.exit();
    guest.assert_sound();
    (ret, left)
}

#[test]
fn bits_that_another_cpu_sets_meanwhile_are_not_lost() {
    for noted in [0, bits::ACCESSED, bits::DIRTY, NOTED] {
        for is_shared in [false, true] {
            let ((first, others), left) = cleared(is_shared, noted);
            assert_eq!(first.raw() & (NOTED | bits::RW), noted | bits::RW);
            assert_eq!(others & (NOTED | bits::RW), noted | bits::RW);
            // Xen preserves the bits where the CPU could still set the dirty bit.
            let expected = if noted & bits::DIRTY == 0 { noted } else { 0 };
            assert_eq!(left, [expected; PAGES]);
        }
    }
}

/// Returns how many tables of each level there are below a root, and how many Xen knows.
fn tables_of(mm: Mm) -> ([usize; 4], usize) {
    let (mut levels, mut nr_pinned) = ([0; 4], 0);
    pin::for_each_table(mm, |level, is_pinned| {
        levels[level.number() as usize - 1] += 1;
        nr_pinned += usize::from(is_pinned);
    });
    (levels, nr_pinned)
}

#[test]
fn all_tables_are_shown() {
    let guest = guest();
    let mut process = process(&guest);
    // A user root is one of level 4 as well.
    assert_eq!(tables_of(process.mm()), ([1, 1, 1, 2], 5));
    process.map(1 << 30, 1, Access::Write);
    process.write(1 << 30, 1);
    assert_eq!(tables_of(process.mm()), ([2, 2, 1, 2], 7));
    process.exit();

    let process = Process::new(guest.pages.clone()).unwrap();
    assert_eq!(tables_of(process.mm()), ([0, 0, 0, 2], 0));
    process.exit();
    let (levels, nr_pinned) = tables_of(Mm::kernel());
    assert_eq!(levels[3], 1);
    assert!(levels[0] > levels[1] && levels[1] > levels[2]);
    assert_eq!(nr_pinned, levels.iter().sum());
}

#[test]
fn trees_that_are_not_in_use_are_pinned_for_a_suspend_only() {
    let guest = guest();
    let used = process(&guest);
    let fresh = Process::new(guest.pages.clone()).unwrap();
    assert!(generic::level1_entry(fresh.mm(), Vaddr::new(START)).is_some());
    let before = guest.snapshot();
    let of_used = tables_of(used.mm());

    suspend::pin_all(CallContext::here());
    assert_eq!(tables_of(fresh.mm()), ([1, 1, 1, 2], 5));
    assert_eq!(tables_of(used.mm()), of_used);
    let pinned = guest.snapshot();
    let changed = pinned.frames.iter().zip(&before.frames);
    assert_eq!(
        changed
            .filter(|(now, old)| now.is_pinned != old.is_pinned)
            .count(),
        3
    );
    guest.assert_sound();

    suspend::unpin_all(CallContext::here());
    assert_eq!(tables_of(fresh.mm()), ([1, 1, 1, 2], 0));
    guest.snapshot().assert_same(&before);
    // A second pinning does nothing.
    assert_eq!(traps(&guest, || suspend::unpin_all(CallContext::here())), 0);
    guest.assert_sound();
    fresh.exit();
    used.exit();
    guest.assert_sound();
}

#[test]
fn many_tables_are_pinned_in_groups() {
    let guest = guest();
    let mut process = guest.spawn();
    // More than one group, and one that is full.
    for number in 0..50 {
        let at = number * (2 << 20);
        process.map(at, 1, Access::Write);
        process.write(at, number as u64);
    }
    let child = process.fork();
    assert_eq!(tables_of(child.mm()), ([50, 1, 1, 2], 54));
    child.exit();
    for number in 0..50 {
        assert_eq!(process.read(number * (2 << 20)), number as u64);
    }
    process.exit();
    guest.assert_sound();
}

#[test]
fn a_group_of_tables_takes_one_trap() {
    let guest = guest();
    let process = Process::new(guest.pages.clone()).unwrap();
    for number in 0..50 {
        let at = Vaddr::new(number * (2 << 20));
        assert!(generic::level1_entry(process.mm(), at).is_some());
    }
    // 54 tables are two groups of 24 and a part of a third; the roots are pinned after them.
    assert_eq!(traps(&guest, || process.enter()), 4);
    // The roots, the groups, and a flush.
    assert_eq!(
        traps(&guest, || pin::exit(process.mm(), &mut MaySleep::here())),
        5
    );
    process.exit();
    guest.assert_sound();
}

#[test]
fn one_page_is_flushed_from_the_cpus_that_are_named() {
    let guest = guest();
    let process = process(&guest);
    guest.switch_to(1);
    process.run();
    let mut process = process;
    let (at, other) = (START, START + PAGE);
    assert_eq!((process.read(at), process.read(other)), (1, 1));
    guest.switch_to(0);
    let (mapped, absent) = (ptr(&process, 0), MachineEntry::EMPTY);
    let entry = mapped.read();
    pte::set_now(mapped, absent, BY);
    {
        let _preempt = crate::platform::cpu::context::PreemptOff::new(BY);
        tlb::flush_vcpus([0b11].into_iter(), FlushRange::Page(Vaddr::new(at)), BY);
    }
    for cpu in [0, 1] {
        let host = guest.host();
        let who = host.domain.vcpu(cpu);
        let mut machine = host.machine.borrow_mut();
        assert!(machine.user_read(who, at as u64).is_err(), "CPU {cpu}");
        assert_eq!(machine.user_read(who, other as u64), Ok(1), "CPU {cpu}");
    }
    pte::set_now(mapped, entry, BY);
    process.exit();
    guest.assert_sound();
}

#[test]
fn user_mode_finds_the_vsyscall_page() {
    let guest = guest();
    let process = guest.spawn();
    let host = guest.host();
    let at = VSYSCALL.raw() as u64;
    assert!(host.machine.borrow_mut().user_read(host.vcpu(), at).is_ok());
    process.exit();
    guest.assert_sound();
}

#[test]
fn a_tree_that_ends_is_left_before_it_is_unpinned() {
    let guest = guest();
    let process = process(&guest);
    guest.run_kernel_task();
    guest.switch_to(1);
    process.run();
    // During a context switch the new root waits in the queue of that CPU, behind a flush.
    guest.host().with_state(|state| {
        state.lazy_cpu = true;
        state.borrows_mm = true;
    });
    Batch::open(Issue::LazyCpu, BY).ext(ExtOp::flush_local());
    assert!(!is_queue_empty());
    guest.switch_to(0);
    pin::exit(process.mm(), &mut MaySleep::here());
    guest.switch_to(1);
    guest.host().with_state(|state| state.lazy_cpu = false);
    guest.switch_to(0);
    guest.assert_sound();
    process.exit();
    guest.assert_sound();
}

#[test]
fn memory_of_others_has_no_frame() {
    let guest = Guest::boot(GuestConfig::domu(1000));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (pfn, address) = (page.pfn(), address::pfn_to_virt(page.pfn()).add(8));
    let mfn = p2m::mfn_of(pfn).unwrap();
    assert_eq!(p2m::machine_address(address).raw(), (mfn.raw() << 12) | 8);
    // A page without a frame has a machine address that Xen refuses.
    assert!(p2m::try_set(pfn, P2mWord::MISSING));
    assert_eq!(p2m::machine_address(address).raw(), (usize::MAX << 12) | 8);
    assert!(p2m::try_set(pfn, P2mWord::from_raw(mfn.raw())));

    // A frame of Xen or of another domain, within the list.
    let other = (0..1000)
        .map(Mfn::new)
        .find(|mfn| p2m::pfn_of(*mfn).is_none());
    let flags = bits::PRESENT | bits::RW | bits::USER | bits::ACCESSED;
    let entry = MachineEntry::new(other.unwrap(), Protection::from_raw(flags));
    assert_eq!(convert::to_pseudo(entry).raw(), flags & !bits::PRESENT);
    drop(page);
    guest.assert_sound();
}
