// SPDX-License-Identifier: GPL-2.0-only

//! A refusal of Xen is reported, or stops the machine if it cannot continue.

use crate::addr::{
    Maddr,
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::contiguous::{
    self,
    NotExchanged, //
};
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::guest::{
    boot,
    Guest,
    GuestConfig, //
};
use crate::level::{
    Index,
    Level, //
};
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context::PreemptOff;
use crate::platform::diag::kept_report::Report;
use crate::platform::diag::multicall_debug;
use crate::platform::early::start_of_day::SharedP2m;
use crate::platform::kernel::address;
use crate::platform::machine::memory::{
    load,
    store, //
};
use crate::platform::paging::entry_ptr::{
    self,
    EntryPtr, //
};
use crate::platform::paging::pages::{
    OwnedPage,
    OwnedRegion, //
};
use crate::platform::paging::root::RootEntryPtr;
use crate::platform::paging::static_tables;
use crate::platform::xen::abi::{
    Command,
    ExtOp,
    VaFlush, //
};
use crate::{
    cr3,
    direct_map,
    fixmap,
    p2m,
    pte,
    ptpage,
    tlb,
    upper, //
};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{
    catch_unwind,
    AssertUnwindSafe, //
};
use std::rc::Rc;
use xen_model::{
    Call,
    Errno, //
};

/// The call context in tests.
const BY: CallContext<'_> = CallContext::in_test();

/// A frame that exists on no machine.
const NOWHERE: Mfn = Mfn::new((1 << 40) - 1);

const EINVAL: isize = -22;

/// Has Xen refuse `count` operations of this kind, from the `number`th on.
///
/// Returns a counter of the refusals that are still due.
fn refuse(guest: &Guest, call: Call, number: usize, count: usize) -> Rc<Cell<usize>> {
    let left = Rc::new(Cell::new(count));
    let (mut passed, rest) = (0, left.clone());
    let mut machine = guest.host().machine.borrow_mut();
    machine.set_injector(Some(Box::new(move |site| {
        if site.call != call || rest.get() == 0 {
            return None;
        }
        passed += 1;
        if passed <= number {
            return None;
        }
        rest.set(rest.get() - 1);
        Some(Errno::EINVAL)
    })));
    left
}

/// Returns why `action` stops the machine, if it does.
fn death_in(action: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(action)).err()?;
    let message = panic.downcast_ref::<String>();
    let message = message.map_or("no message", String::as_str);
    Some(message.trim_start_matches("xen_pv_mmu: ").to_owned())
}

/// Boots once for each operation of this kind, and refuses that one; returns why boots stopped.
///
/// The other boots must report the refusal.
fn deaths_at_boot(config: &GuestConfig, call: Call) -> BTreeSet<String> {
    let mut deaths = BTreeSet::new();
    for number in 0.. {
        let guest = Guest::build(config.clone());
        let left = refuse(&guest, call, number, 1);
        let death = death_in(|| boot::boot(guest.host()));
        if left.get() != 0 {
            assert_eq!(death, None);
            break;
        }
        let is_reported = !guest.take_refusals().is_empty();
        assert!(
            death.is_some() || is_reported,
            "{call:?} {number} goes unnoticed"
        );
        deaths.extend(death);
    }
    deaths
}

#[test]
fn a_boot_stops_without_what_it_needs() {
    let config = GuestConfig::domu(600);
    let deaths = deaths_at_boot(&config, Call::MmuextOp);
    for message in [
        "Xen refused to pin a page table",
        "Xen refused to unpin a page table",
    ] {
        assert!(deaths.contains(message), "{deaths:?}");
    }
    let deaths = deaths_at_boot(&config, Call::UpdateVaMapping);
    for message in [
        "Xen refused to map a page of the kernel",
        "Xen refused to change the protection of a page",
        "Xen refused a fixed mapping",
    ] {
        assert!(deaths.contains(message), "{deaths:?}");
    }
}

#[test]
fn a_boot_does_without_the_size_of_the_m2p_table() {
    let guest = Guest::build(GuestConfig::domu(600));
    let left = refuse(&guest, Call::MachphysMapping, 0, 1);
    boot::boot(guest.host());
    assert_eq!(left.get(), 0);
    guest.assert_sound();
    assert_eq!(
        p2m::pfn_of(p2m::mfn_of(Pfn::new(5)).unwrap()),
        Some(Pfn::new(5))
    );
}

#[test]
fn a_machine_frame_that_cannot_be_mapped_stops_the_boot() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let page = address::fix_to_virt(1400);
    let (ptr, _) = entry_ptr::lookup_address(page).unwrap();
    let mfn = p2m::mfn_of(Pfn::new(7)).unwrap();
    direct_map::map_machine_early(page, mfn, address::kernel_rw());
    assert_eq!(ptr.read().mfn(), mfn);
    let death = death_in(|| direct_map::map_machine_early(page, NOWHERE, address::kernel_rw()));
    assert_eq!(death.as_deref(), Some("Xen refused to map a machine frame"));
    assert_eq!(ptr.read().mfn(), mfn);
    drop(guest);
}

#[test]
fn only_pages_that_are_mapped_are_protected_and_then_for_sure() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let unmapped = address::fix_to_virt(1400);
    assert!(entry_ptr::lookup_address(unmapped).is_none_or(|(ptr, _)| !ptr.read().is_present()));
    let left = refuse(&guest, Call::UpdateVaMapping, 0, 2);
    direct_map::make_readonly(unmapped, BY);
    direct_map::make_readwrite(unmapped, BY);
    assert_eq!(left.get(), 2);

    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let mapped = address::pfn_to_virt(page.pfn());
    for change in [direct_map::make_readonly, direct_map::make_readwrite] {
        let death = death_in(|| change(mapped, BY));
        let why = "Xen refused to change the protection of a page";
        assert_eq!(death.as_deref(), Some(why));
    }
    assert_eq!(left.get(), 0);
    direct_map::make_readonly(mapped, BY);
    assert_eq!(ptr_of(&page).read().raw() & bits::RW, 0);
    direct_map::make_readwrite(mapped, BY);
    assert_ne!(ptr_of(&page).read().raw() & bits::RW, 0);
}

#[test]
fn tables_are_made_and_released_early() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    for level in [Level::L1, Level::L2] {
        let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
        let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
        let is_pinned = || {
            let mfn = xen_model::Mfn(ptr.read().mfn().raw() as u64);
            let machine = guest.host().machine.borrow();
            machine.frame(mfn).is_pinned()
        };
        ptpage::alloc_early(page.pfn(), level, BY);
        assert_eq!(ptr.read().raw() & bits::RW, 0);
        // Xen knows the tables above level 1 through the tree.
        assert_eq!(is_pinned(), level == Level::L1);
        ptpage::release_early(page.pfn(), level, BY);
        assert_ne!(ptr.read().raw() & bits::RW, 0);
        assert!(!is_pinned());
    }
}

#[test]
fn fixed_mappings_of_all_kinds() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let memory = OwnedPage::zeroed(&mut MaySleep::here())
        .unwrap()
        .leak()
        .pfn();
    let mapped = |index: u32| {
        entry_ptr::lookup_address(address::fix_to_virt(index))
            .unwrap()
            .0
            .read()
    };

    fixmap::set(1400, memory.paddr().raw(), address::kernel_rw(), BY);
    assert_eq!(mapped(1400).mfn(), p2m::mfn_of(memory).unwrap());
    // A machine address, here that of a page of the guest.
    let mfn = p2m::mfn_of(memory).unwrap();
    fixmap::set(600, mfn.raw() << 12, address::kernel_rw(), BY);
    assert_eq!(mapped(600).mfn(), mfn);
    let flags = address::kernel_rw().raw();
    assert_eq!(mapped(600).raw() & flags, flags);
    guest.assert_sound();

    let death = death_in(|| fixmap::set(600, NOWHERE.raw() << 12, address::kernel_rw(), BY));
    assert_eq!(death.as_deref(), Some("Xen refused a fixed mapping"));
    let [report] = guest.take_refusals()[..] else {
        panic!("not one report");
    };
    assert_eq!(
        (report.target, report.by),
        (address::fix_to_virt(600).raw(), BY.site())
    );
    assert_eq!(
        report.value,
        MachineEntry::new(NOWHERE, address::kernel_rw()).raw()
    );
    assert!(report.error < 0);
}

/// Returns an entry of the direct map, for a page of the guest.
fn ptr_of(page: &OwnedPage) -> EntryPtr {
    entry_ptr::lookup_address(address::pfn_to_virt(page.pfn()))
        .unwrap()
        .0
}

/// Returns the only report.
#[track_caller]
fn only_report(guest: &Guest) -> Report {
    match guest.take_refusals()[..] {
        [report] => report,
        ref others => panic!("{} reports", others.len()),
    }
}

#[test]
fn a_refused_entry_is_reported_with_all_there_is_to_know() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let ptr = ptr_of(&page);
    let at = p2m::machine_address(ptr.vaddr()).raw();
    let entry = MachineEntry::new(NOWHERE, address::kernel_rw());
    pte::set_now(ptr, entry, BY);
    let report = only_report(&guest);
    assert_eq!((report.target, report.value), (at, entry.raw()));
    assert_eq!((report.error, report.by), (EINVAL, BY.site()));
    assert_ne!(ptr.read(), entry);
    drop(page);
    guest.assert_sound();
}

#[test]
fn large_pages_above_level_1_do_not_reach_xen() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let entry = MachineEntry::from_raw(bits::KERNEL_TABLE | bits::HUGE);
    let known = static_tables::root().entry(Index::wrapping(3));
    let process = guest.spawn();
    let root = process.mm().root().table().entry(Index::FIRST);
    let before = guest.host().machine.borrow().stats();
    kernel::log::take();

    upper::set(known, entry, Level::L2, BY);
    upper::set(known, entry, Level::L3, BY);
    upper::set_root(RootEntryPtr::at(root), entry, BY);
    let reports = guest.take_refusals();
    assert_eq!(reports.len(), 3);
    for (report, ptr) in reports.iter().zip([known, known, root]) {
        assert_eq!(
            (report.target, report.value),
            (ptr.vaddr().raw(), entry.raw())
        );
        assert_eq!((report.error, report.by), (EINVAL, BY.site()));
        assert!(ptr.read().is_none());
    }
    let logged = kernel::log::take();
    let names = [
        "page in level 2",
        "page above level 2",
        "page above level 2",
    ];
    assert!(logged
        .iter()
        .zip(names)
        .all(|(message, name)| message.text.contains(name)));
    let work = guest.host().machine.borrow().stats() - before;
    assert_eq!(work.mmu_updates, 0);
    process.exit();
    guest.assert_sound();
}

#[test]
fn tables_that_xen_does_not_know_take_large_pages() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let entry = MachineEntry::from_raw(bits::KERNEL_TABLE | bits::HUGE);
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let table = crate::platform::paging::table::Table::at(address::pfn_to_virt(page.pfn()));
    // As kexec does, for a kernel that runs without Xen.
    for (index, level) in [(0, Level::L2), (1, Level::L3)] {
        let ptr = table.entry(Index::wrapping(index));
        upper::set(ptr, entry, level, BY);
        assert_eq!(ptr.read(), entry);
    }
    drop(page);
    guest.assert_sound();
}

#[test]
fn refused_flushes_are_reported() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    refuse(&guest, Call::MmuextOp, 0, 1);
    tlb::flush_page_local(Vaddr::new(0x1234_5678), BY);
    let report = only_report(&guest);
    let (command, argument) = ExtOp::flush_page_local(Vaddr::new(0x1234_5000)).raw();
    assert_eq!((report.target, report.value), (command as usize, argument));
    assert_eq!((report.error, report.by), (EINVAL, BY.site()));
    guest.assert_sound();
}

#[test]
fn roots_are_loaded_with_preemption_off() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let process = guest.spawn();
    let root = process.mm().root();
    assert_eq!(
        cr3::read(),
        crate::platform::kernel::address::virt_to_phys(root.table().vaddr())
    );
    {
        let _preempt = PreemptOff::new(BY);
        cr3::write(root, BY);
    }
    guest.assert_sound();
    cr3::write(root, BY);
    assert_eq!(guest.complaints(), ["root table loaded with preemption on"]);
    process.exit();
}

#[test]
fn a_queue_that_xen_cannot_read_stops_the_machine() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    refuse(&guest, Call::Multicall, 0, 1);
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let ptr = ptr_of(&page);
    let death = death_in(|| {
        let mut batch = Batch::open(Issue::Now, BY);
        batch.ext(ExtOp::flush_local());
        batch.update(
            Command::Normal,
            p2m::machine_address(ptr.vaddr()),
            ptr.read(),
        );
    });
    assert_eq!(
        death.as_deref(),
        Some("Xen could not read the multicall queue")
    );
    assert_eq!(guest.complaints(), ["multicall of 2 calls failed: -22"]);
    std::mem::forget(page);
}

#[test]
fn refused_batches_are_shown_for_debugging() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    multicall_debug::turn_on();
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (ptr, vaddr) = (ptr_of(&page), address::pfn_to_virt(page.pfn()));
    let bad = Maddr::new(NOWHERE.raw() << 12);
    let entry = ptr.read();
    {
        let mut batch = Batch::open(Issue::Now, BY);
        batch.update_va(vaddr, entry, VaFlush::None);
        batch.update(Command::Normal, bad, entry);
    }
    guest.take_refusals();
    let shown = guest.complaints();
    let calls: Vec<_> = shown.iter().filter(|line| line.contains("call ")).collect();
    let va = format!(
        "  call 1: op 14 result 0 caller 0x1234 target {:#x} value {:#x} done 0",
        vaddr.raw(),
        entry.raw()
    );
    assert_eq!(*calls[0], va);
    assert!(calls[1].starts_with("  call 2: op 1 result -22 caller 0x1234 target 0x"));
    assert!(calls[1].ends_with("value 0x1 done 0"));
    assert_eq!(calls.len(), 2);
    let words: Vec<_> = shown
        .iter()
        .filter(|line| line.contains("argument"))
        .collect();
    assert_eq!(words.len(), 8);
    assert_eq!(*words[0], format!("    argument 0: {:#x}", bad.raw()));
    assert_eq!(*words[1], format!("    argument 1: {:#x}", entry.raw()));

    // Calls that succeed are not shown.
    let mut batch = Batch::open(Issue::Now, BY);
    batch.update_va(vaddr, entry, VaFlush::None);
    drop(batch);
    drop(page);
    guest.assert_sound();
}

#[test]
fn a_refused_mapping_is_reported_once() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (ptr, vaddr) = (ptr_of(&page), address::pfn_to_virt(page.pfn()));
    let bad = MachineEntry::new(NOWHERE, address::kernel_rw());
    // Alone, and after a refused element, so that it is tried again.
    for is_late in [false, true] {
        {
            let mut batch = Batch::open(Issue::Now, BY);
            if is_late {
                batch.ext(ExtOp::unpin(NOWHERE));
                batch.ext(ExtOp::flush_local());
            }
            batch.update_va(vaddr, bad, VaFlush::None);
        }
        let reports = guest.take_refusals();
        assert_eq!(reports.len(), 1 + usize::from(is_late));
        let report = reports.last().unwrap();
        assert_eq!((report.target, report.value), (vaddr.raw(), bad.raw()));
        assert_eq!((report.error, report.by), (EINVAL, BY.site()));
        assert_ne!(ptr.read(), bad);
    }
    drop(page);
    guest.assert_sound();
}

#[test]
fn tlbs_are_flushed_after_late_operations() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let late = || {
        let mut batch = Batch::open(Issue::Now, BY);
        batch.ext(ExtOp::unpin(NOWHERE));
        batch.ext(ExtOp::flush_local());
    };
    let before = guest.host().machine.borrow().stats();
    late();
    let work = guest.host().machine.borrow().stats() - before;
    assert_eq!(guest.take_refusals().len(), 1);
    // The element after the refused one, and the flush of all CPUs.
    assert_eq!(work.mmuext_ops, 2);

    // A refusal of the flush is reported.
    refuse(&guest, Call::MmuextOp, 2, 1);
    late();
    let reports = guest.take_refusals();
    assert_eq!(reports.len(), 2);
    let (command, argument) = ExtOp::flush_all().raw();
    assert_eq!(
        (reports[1].target, reports[1].value),
        (command as usize, argument)
    );
    assert_eq!((reports[1].error, reports[1].by), (EINVAL, BY.site()));
    guest.assert_sound();
}

#[test]
fn a_list_that_xen_does_not_let_grow_stays_as_it_was() {
    let guest = Guest::boot(GuestConfig::domu(3000));
    let pfn = Pfn::new(300_000);
    let before = guest.snapshot().nr_free;
    // The first is the link of the new table of level 1, the second that of the page of the list.
    for number in 0..2 {
        let left = refuse(&guest, Call::MmuUpdate, number, 1);
        let generation = SharedP2m::generation();
        assert!(p2m::grow::set(pfn, P2mWord::from_raw(1), &mut MaySleep::here()).is_err());
        assert_eq!(left.get(), 0);
        assert_eq!(only_report(&guest).error, EINVAL);
        assert_eq!(p2m::word(pfn), P2mWord::identity(pfn));
        assert_eq!(SharedP2m::generation() % 2, 0);
        assert!(SharedP2m::generation() > generation);
        // The middle page of the tree stays, and so does the table once it is linked.
        assert_eq!(before - guest.snapshot().nr_free, 1 + number);
        guest.assert_sound();
    }
    assert!(p2m::grow::set(pfn, P2mWord::from_raw(1), &mut MaySleep::here()).is_ok());
    assert_eq!(before - guest.snapshot().nr_free, 3);
    guest.assert_sound();
}

#[test]
fn regions_that_cannot_be_exchanged_stay() {
    let guest = Guest::boot(GuestConfig::dom0(8000));
    let mut memory = OwnedRegion::new(0).unwrap();
    let start = memory.region().start();
    let too_large = || crate::platform::paging::region::Region::at(start, 19);
    let before = guest.host().machine.borrow().stats();
    assert_eq!(contiguous::create(too_large(), 0, BY), Err(NotExchanged));
    contiguous::destroy(too_large(), BY);
    let work = guest.host().machine.borrow().stats() - before;
    assert_eq!(work.world_entries, 0);

    // Xen has no frame to exchange: the region stays as it was, except for its contents.
    let mfn = p2m::mfn_of(start.pfn());
    refuse(&guest, Call::Exchange, 0, 1);
    contiguous::destroy(memory.region(), BY);
    assert_eq!(p2m::mfn_of(start.pfn()), mfn);
    assert_eq!(memory.nr_lost_words(), 0);
    drop(memory);
    guest.assert_sound();
}

#[test]
fn all_cpus_see_the_frames_of_a_region() {
    let guest = Guest::boot(GuestConfig::dom0(8000).with_cpus(2));
    for order in [0, 1] {
        let mut memory = OwnedRegion::new(order).unwrap();
        let start = memory.region().start().pfn();
        let pages: Vec<_> = (0..1 << order).map(|page| start.add(page)).collect();
        let on_all_cpus = |access: &dyn Fn(u32, Pfn)| {
            for cpu in [1, 0] {
                guest.switch_to(cpu);
                pages.iter().for_each(|page| access(cpu, *page));
            }
        };
        // The TLBs hold the translations that become stale.
        on_all_cpus(&|_, page| {
            load(address::pfn_to_virt(page));
        });
        let first = contiguous::create(memory.region(), 0, BY).unwrap();
        on_all_cpus(&|cpu, page| {
            let word = 0x100 * page.raw() + cpu as usize;
            store(address::pfn_to_virt(page), word);
            let mfn = xen_model::Mfn(p2m::mfn_of(page).unwrap().raw() as u64);
            let stored = guest.host().machine.borrow().frame_word(mfn, 0);
            assert_eq!(stored, word as u64, "CPU {cpu}, order {order}");
        });
        // Xen gets back all contiguous frames, not only some of them.
        contiguous::destroy(memory.region(), BY);
        for (index, page) in pages.iter().enumerate() {
            assert_ne!(p2m::mfn_of(*page), Some(first.add(index)));
        }
        assert_eq!(memory.nr_lost_words(), 0);
    }
    guest.assert_sound();
}

#[test]
fn a_console_driver_may_use_the_queue() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    multicall_debug::turn_on();
    let [late, shown] = [(); 2].map(|()| OwnedPage::zeroed(&mut MaySleep::here()).unwrap());
    let (late_slot, entry) = (ptr_of(&late), ptr_of(&late).read());
    let (shown_slot, other) = (ptr_of(&shown), ptr_of(&shown).read());
    let at = |ptr: EntryPtr| p2m::machine_address(ptr.vaddr());
    kernel::log::set_console(Some(Box::new(move || {
        let mut batch = Batch::open(Issue::Now, BY);
        batch.update(Command::Normal, at(shown_slot), other);
    })));
    {
        let mut batch = Batch::open(Issue::Now, BY);
        batch.update(Command::Normal, Maddr::new(NOWHERE.raw() << 12), entry);
        batch.update(Command::Normal, at(late_slot), entry.without(bits::RW));
    }
    kernel::log::set_console(None);
    // Xen refused the first, but the later ones were carried out.
    assert_eq!(guest.take_refusals().len(), 1);
    assert_eq!(late_slot.read(), entry.without(bits::RW));
    assert!(!guest.complaints().is_empty());
    pte::set_now(late_slot, entry, BY);
    guest.assert_sound();
}
