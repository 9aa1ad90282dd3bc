// SPDX-License-Identifier: GPL-2.0-only

//! The backend as a whole on the model: start of day, processes, the p2m list, refusals.

mod boot_leftovers;
mod e820_relocation;
mod entries;
mod exchange;
mod fast_paths;
mod grants;
mod p2m_size;
mod queue;
mod races;
mod recovery_order;
mod refused;
mod remap;
mod suspend;
mod waiting;
mod watched;

use crate::addr::{
    Maddr,
    Pfn, //
};
use crate::entry::MachineEntry;
use crate::guest::suspend::assert_savable;
use crate::guest::{
    ops,
    Access,
    Guest,
    GuestConfig,
    Process,
    PAGE, //
};
use crate::level::Level;
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::p2m::list;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    CallSite,
    MaySleep, //
};
use crate::platform::early::start_of_day::{
    SharedP2m,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::{
    Command,
    ExtOp, //
};
use crate::platform::xen::machine_map::xen_max_p2m_pfn;
use crate::ptpage::pin_early;
use std::panic::{
    catch_unwind,
    AssertUnwindSafe, //
};
use xen_model::{
    Errno,
    HardwareActivity, //
};

/// Numbers of pages around the borders of tables and of pages of the p2m list.
const SIZES: [u64; 8] = [511, 512, 513, 1024, 1025, 4097, 8191, 16385];

/// Checks the state of a guest that has booted: its own view and the toolstack's.
fn check_booted(guest: &Guest) {
    guest.assert_sound();
    let nr_pages = StartInfo::nr_pages();
    for pfn in (0..nr_pages).map(Pfn::new) {
        let P2mEntry::Local(mfn) = p2m::word(pfn).decode() else {
            panic!("{pfn:x?} has no frame");
        };
        assert_eq!(p2m::pfn_of(mfn), Some(pfn));
    }
    assert_savable();
}

#[test]
fn dom0_boots_with_any_number_of_pages() {
    for nr_pages in SIZES {
        check_booted(&Guest::boot(GuestConfig::dom0(nr_pages)));
    }
}

#[test]
fn domu_boots_with_any_number_of_pages() {
    for nr_pages in SIZES {
        check_booted(&Guest::boot(GuestConfig::domu(nr_pages)));
    }
}

#[test]
fn a_domain_of_a_gibibyte_less_one_page_boots() {
    check_booted(&Guest::boot(GuestConfig::dom0(262_143)));
}

#[test]
fn guests_boot_while_hardware_sets_bits() {
    for seed in 0..4 {
        let guest = Guest::build(GuestConfig::dom0(1024).with_seed(seed));
        let host = guest.host();
        host.machine
            .borrow_mut()
            .set_hardware_activity(HardwareActivity::ALL);
        crate::guest::boot::boot(host);
        check_booted(&guest);
    }
}

/// Writes a unique number into each of `pages` pages.
fn fill(process: &mut Process, start: usize, pages: usize, salt: u64) {
    for page in 0..pages {
        process.write(start + page * PAGE, salt + page as u64);
    }
}

/// Returns how many of `pages` pages hold another value.
fn nr_wrong(process: &mut Process, start: usize, pages: usize, salt: u64) -> usize {
    (0..pages)
        .filter(|page| process.read(start + page * PAGE) != salt + *page as u64)
        .count()
}

/// Addresses far apart: in the first table, across two tables, and below the end.
const PLACES: [usize; 3] = [0x1000, 0x3f_e000, 0x7fff_ffff_0000];

fn fork_touch_and_exit(config: GuestConfig, is_optimised: bool) {
    let guest = Guest::boot(config);
    if !is_optimised {
        ops::Switch::ALL.into_iter().for_each(ops::Switch::off);
    }
    let before = guest.snapshot();

    let mut parent = guest.spawn();
    for place in PLACES {
        parent.map(place, 4, Access::Write);
        fill(&mut parent, place, 4, 100);
    }
    let mut child = parent.fork();
    fill(&mut parent, PLACES[0], 2, 200);
    child.run();
    for place in PLACES {
        assert_eq!(nr_wrong(&mut child, place, 4, 100), 0);
    }
    fill(&mut child, PLACES[1], 4, 300);
    parent.run();
    assert_eq!(nr_wrong(&mut parent, PLACES[0], 2, 200), 0);
    assert_eq!(nr_wrong(&mut parent, PLACES[1], 4, 100), 0);

    child.exit();
    parent.exit();
    guest.run_kernel_task();
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
}

#[test]
fn processes_leave_nothing_behind() {
    for is_optimised in [false, true] {
        fork_touch_and_exit(GuestConfig::dom0(4000), is_optimised);
        fork_touch_and_exit(GuestConfig::domu(4000), is_optimised);
    }
}

#[test]
fn processes_leave_nothing_behind_on_other_cpus() {
    let guest = Guest::boot(GuestConfig::dom0(4000).with_cpus(3));
    let before = guest.snapshot();

    let mut process = guest.spawn();
    process.map(0x1000, 8, Access::Write);
    fill(&mut process, 0x1000, 8, 1);
    guest.switch_to(1);
    process.run();
    fill(&mut process, 0x1000, 8, 2);
    guest.switch_to(2);
    process.run();
    assert_eq!(nr_wrong(&mut process, 0x1000, 8, 2), 0);
    // A page that one CPU unmaps is unmapped for all CPUs.
    guest.switch_to(0);
    process.unmap(0x1000, 4);
    process.map(0x1000, 4, Access::Write);
    guest.switch_to(1);
    assert_eq!(process.read(0x1000), 0);
    guest.switch_to(0);
    process.exit();
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
}

#[test]
fn mappings_change_and_move() {
    let guest = Guest::boot(GuestConfig::dom0(6000));
    let before = guest.snapshot();
    let mut process = guest.spawn();
    let (from, to) = (4 << 20, 64 << 20);

    process.map(from, 700, Access::Write);
    fill(&mut process, from, 700, 7);
    process.protect(from, 300, Access::None);
    process.protect(from, 300, Access::Read);
    assert_eq!(nr_wrong(&mut process, from, 700, 7), 0);
    process.protect(from, 300, Access::Write);
    fill(&mut process, from, 300, 7);
    // A whole table moves at once, the rest entry by entry.
    assert_eq!(process.remap(from, 700, to), Ok(()));
    assert_eq!(nr_wrong(&mut process, to, 700, 7), 0);
    process.unmap(to, 100);
    process.unmap(to + 200 * PAGE, 500);
    assert_eq!(nr_wrong(&mut process, to + 100 * PAGE, 100, 107), 0);

    process.exit();
    guest.run_kernel_task();
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
}

#[test]
fn fork_without_memory_leaves_nothing_behind() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let mut parent = guest.spawn();
    for place in PLACES {
        parent.map(place, 4, Access::Write);
        fill(&mut parent, place, 4, 1);
    }
    let before = guest.snapshot();
    let mut failed_at = 0;
    loop {
        let mut left = failed_at;
        let shortage = move || {
            left -= 1;
            left < 0
        };
        let host = guest.host();
        host.pool
            .borrow_mut()
            .set_shortage(Some(Box::new(shortage)));
        let child = parent.try_fork();
        host.pool.borrow_mut().set_shortage(None);
        guest.assert_sound();
        match child {
            Ok(child) => {
                child.exit();
                break;
            }
            Err(_) => failed_at += 1,
        }
        assert_eq!(guest.snapshot().nr_free, before.nr_free);
    }
    // Two roots, and the tables for three addresses.
    assert!(failed_at > 2 + 3);
    for place in PLACES {
        assert_eq!(nr_wrong(&mut parent, place, 4, 1), 0);
    }
    parent.exit();
    guest.assert_sound();
}

#[test]
fn list_takes_words_of_all_kinds() {
    let guest = Guest::boot(GuestConfig::domu(3000));
    let end = xen_max_p2m_pfn.get();
    let kinds = [
        P2mEntry::Foreign(crate::addr::Mfn::new(0x1234)),
        P2mEntry::Identity,
        P2mEntry::Missing,
    ];
    // In an own page of the list, in shared ones, and at the end of the list.
    for pfn in [3000, 3584, 262_143, 262_144, end - 1].map(Pfn::new) {
        let before = p2m::word(pfn).decode();
        for entry in kinds {
            let generation = SharedP2m::generation();
            assert!(
                p2m::grow::set(pfn, P2mWord::encode(pfn, entry), &mut MaySleep::here()).is_ok()
            );
            assert_eq!(p2m::word(pfn).decode(), entry);
            assert_eq!(SharedP2m::generation() % 2, 0);
            assert!(SharedP2m::generation() >= generation);
        }
        assert!(p2m::grow::set(pfn, P2mWord::encode(pfn, before), &mut MaySleep::here()).is_ok());
    }
    assert!(p2m::grow::set(Pfn::new(end), P2mWord::from_raw(1), &mut MaySleep::here()).is_err());
    assert_eq!(
        list::with_list(CallContext::here(), |list| list.last_frame),
        end
    );
    check_booted(&guest);
}

#[test]
fn batches_larger_than_the_queue_reach_xen() {
    let guest = Guest::boot(GuestConfig::dom0(3000));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
    let at = p2m::machine_address(ptr.vaddr());
    let software = |entry: MachineEntry, number: usize| {
        MachineEntry::from_raw((entry.raw() & !(3 << 9)) | ((number % 4) << 9))
    };
    let old = ptr.read();
    let before = guest.host().machine.borrow().stats();
    {
        let mut batch = Batch::open(Issue::Now, CallContext::here());
        for number in 0..1000 {
            batch.update(Command::Normal, at, software(old, number));
            if number % 7 == 0 {
                batch.ext(ExtOp::flush_page_local(address::pfn_to_virt(page.pfn())));
            }
        }
    }
    let work = guest.host().machine.borrow().stats() - before;
    assert_eq!((work.mmu_updates, work.mmuext_ops), (1000, 143));
    assert_eq!(ptr.read(), software(ptr.read(), 999));
    assert!(work.world_entries < 40, "{} entries", work.world_entries);
    drop(page);
    guest.assert_sound();
}

#[test]
fn a_refusal_that_ends_the_boot_names_call_target_and_result() {
    let guest = Guest::boot(GuestConfig::dom0(3000));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let mfn = p2m::mfn_of(page.pfn()).unwrap();
    // The page is mapped writable.
    let boot = catch_unwind(AssertUnwindSafe(|| pin_early(Level::L4, page.pfn())));
    assert!(boot.is_err());
    let expected = format!(
        "Xen refused to pin a page table: mmuext_op of {:#x} returned {}",
        mfn.raw(),
        -(Errno::EINVAL.0 as isize)
    );
    assert_eq!(guest.complaints(), [expected]);
    drop(page);
    guest.assert_sound();
}

#[test]
fn refused_updates_are_reported_and_do_not_stop_the_others() {
    let guest = Guest::boot(GuestConfig::dom0(3000));
    let pages: Vec<_> = (0..40)
        .map(|_| OwnedPage::zeroed(&mut MaySleep::here()).unwrap())
        .collect();
    let bad = Maddr::new(((1 << 40) - 1) << 12);
    let software_bit = 1 << 10;
    {
        let mut batch = Batch::open(Issue::Now, CallContext::in_test());
        for (number, page) in pages.iter().enumerate() {
            let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
            if number % 4 == 1 {
                batch.update(Command::Normal, bad, ptr.read());
            }
            let at = p2m::machine_address(ptr.vaddr());
            batch.update(Command::Normal, at, ptr.read().with(software_bit));
        }
    }
    let refusals = guest.take_refusals();
    // More refusals than are reported one by one.
    assert_eq!(refusals.len(), 8);
    assert_eq!(guest.complaints(), ["2 more operations failed"]);
    for refusal in refusals {
        assert_eq!((refusal.target, refusal.by), (bad.raw(), CallSite::TEST));
        assert_eq!(refusal.error, -(Errno::EINVAL.0 as isize));
    }
    for page in &pages {
        let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
        assert!(ptr.read().raw() & software_bit != 0);
    }
    drop(pages);
    guest.assert_sound();
}

#[test]
#[should_panic(expected = "sleeping")]
fn sleeping_with_a_batch_open_is_noticed() {
    let _guest = Guest::boot(GuestConfig::dom0(1000));
    let _batch = Batch::open(Issue::Now, CallContext::here());
    let _page = OwnedPage::new(&mut MaySleep::here());
}

#[test]
#[should_panic(expected = "is emulated")]
fn plain_stores_to_known_tables_are_noticed() {
    let _guest = Guest::boot(GuestConfig::dom0(1000));
    let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(Pfn::new(100))).unwrap();
    // A store without a check of the table.
    crate::platform::machine::memory::store(ptr.vaddr(), ptr.read().raw());
}

#[test]
fn flushing_with_preemption_on_is_noticed() {
    let guest = Guest::boot(GuestConfig::dom0(1000));
    crate::multicall::flush();
    assert_eq!(
        guest.complaints(),
        ["multicall queue flushed with preemption on"]
    );
}
