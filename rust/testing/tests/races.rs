// SPDX-License-Identifier: GPL-2.0-only

//! Other vCPUs that write while the backend changes entries.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::guest::pages::FOLIO;
use crate::guest::{
    generic,
    ops,
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
use crate::pin;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::kernel::address;
use crate::platform::machine::host::host;
use crate::platform::paging::static_tables;
use std::cell::Cell;
use std::rc::Rc;

const START: usize = 0x1000;

/// Has a thread on CPU 1 write to the pages of a folio, one with each unit of work, while `change`
/// runs on CPU 0; returns whether the folio is known to be dirty.
fn write_meanwhile(change: impl FnOnce(&mut Process)) -> bool {
    let guest = Guest::boot(GuestConfig::domu(2000).with_cpus(2));
    let before = guest.snapshot();
    let mut process = guest.spawn();
    process.map_file(START, FOLIO, Access::Write, 0);
    for page in 0..FOLIO {
        process.read(START + page * PAGE);
    }
    process.add_thread();
    guest.switch_to(1);
    process.run();
    guest.switch_to(0);

    let other = guest.host().domain.vcpu(1);
    let nr_written = Rc::new(Cell::new(0));
    let counter = nr_written.clone();
    guest
        .host()
        .machine
        .borrow_mut()
        .set_interloper(Some(Box::new(move |machine, _| {
            // Starts at the end, where entries have not been cleared yet.
            let page = (FOLIO - 1) - counter.get() % FOLIO;
            let at = (START + page * PAGE) as u64;
            if machine.user_write(other, at, 7).is_ok() {
                counter.set(counter.get() + 1);
            }
        })));
    change(&mut process);
    guest.host().machine.borrow_mut().set_interloper(None);
    assert!(nr_written.get() > 0, "nothing was written meanwhile");

    process.exit();
    guest.run_kernel_task();
    let mut pages = guest.pages.borrow_mut();
    assert_eq!(pages.lost_dirty(), []);
    let is_dirty = pages.is_dirty(0);
    pages.truncate();
    drop(pages);
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
    is_dirty
}

#[test]
fn writes_are_noticed_while_entries_are_taken() {
    assert!(write_meanwhile(|process| process.unmap(START, FOLIO)));
}

#[test]
fn writes_are_noticed_while_one_entry_is_taken() {
    let last = START + (FOLIO - 1) * PAGE;
    assert!(write_meanwhile(|process| process.unmap(last, 1)));
}

#[test]
fn writes_are_noticed_while_entries_move() {
    assert!(write_meanwhile(|process| {
        assert_eq!(process.remap(START, FOLIO, 64 << 20), Ok(()));
        process.unmap(64 << 20, FOLIO);
    }));
}

#[test]
fn writes_are_noticed_while_entries_are_protected() {
    assert!(write_meanwhile(|process| {
        process.protect(START, FOLIO, Access::Read);
        process.unmap(START, FOLIO);
    }));
}

#[test]
fn writes_are_noticed_while_entries_are_write_protected() {
    assert!(write_meanwhile(|process| {
        let Some(first) = generic::find(process.mm(), Level::L1, Vaddr::new(START)) else {
            panic!("the file is not mapped");
        };
        ops::in_lazy_mmu(|| ops::write_protect(first, FOLIO));
        process.protect(START, FOLIO, Access::Read);
        process.unmap(START, FOLIO);
    }));
}

/// Returns a process with one thread, and the entry of a page that it maps: a clean page of a file,
/// which the process may write to.
fn clean_page(guest: &Guest) -> (Process, crate::platform::paging::entry_ptr::EntryPtr) {
    let mut process = guest.spawn();
    process.map_file(START, FOLIO, Access::Write, 0);
    process.read(START);
    let ptr = generic::find(process.mm(), Level::L1, Vaddr::new(START)).unwrap();
    (process, ptr)
}

#[test]
fn a_write_is_noticed_if_the_thread_ends_meanwhile() {
    let guest = Guest::boot(GuestConfig::domu(2000).with_cpus(2));
    let (mut process, _) = clean_page(&guest);
    process.add_thread();
    guest.switch_to(1);
    process.run();
    guest.switch_to(0);

    // The thread writes after the first read of the entry, and leaves its address space.
    let (mm, other) = (process.mm(), guest.host().domain.vcpu(1));
    let was_written = Rc::new(Cell::new(false));
    let written = was_written.clone();
    let write = move |machine: &mut xen_model::Machine, _: &xen_model::Site| {
        if !written.get() && machine.user_write(other, START as u64, 7).is_ok() {
            written.set(true);
            mm.drop_user();
            mm.stop_threads_beyond_users();
        }
    };
    let interloper = Some(Box::new(write) as _);
    guest.host().machine.borrow_mut().set_interloper(interloper);
    process.unmap(START, 1);
    guest.host().machine.borrow_mut().set_interloper(None);

    let (is_dirty, nr_lost) = {
        let mut pages = guest.pages.borrow_mut();
        (pages.is_dirty(0), pages.lost_dirty().len())
    };
    assert_eq!((was_written.get(), is_dirty, nr_lost), (true, true, 0));
    process.exit();
    guest.run_kernel_task();
}

#[test]
fn a_write_is_noticed_if_a_kernel_thread_adopts_the_process_meanwhile() {
    let guest = Guest::boot(GuestConfig::domu(2000).with_cpus(2));
    let (process, ptr) = clean_page(&guest);
    let (mm, mut is_dirty, mut was_written) = (process.mm(), false, false);
    ops::in_lazy_mmu(|| {
        let entry = ops::get_and_clear_range(mm, Vaddr::new(START), ptr, 1);
        is_dirty |= entry.raw() & crate::entry::bits::DIRTY != 0;
        // mmget_not_zero(), kthread_use_mm(), copy_to_user()
        process.add_thread();
        guest.switch_to(1);
        process.run();
        let other = guest.host().domain.vcpu(1);
        let written = guest
            .host()
            .machine
            .borrow_mut()
            .user_write(other, START as u64, 7);
        was_written = written.is_ok();
        guest.run_kernel_task();
        process.end_thread();
        guest.switch_to(0);
    });
    let nr_lost = guest.pages.borrow_mut().lost_dirty().len();
    // The write faults because the entry is cleared, or is noticed.
    assert_eq!((is_dirty, nr_lost), (was_written, 0));
    process.exit();
    guest.run_kernel_task();
}

/// Runs `section`; returns how many units of work Xen did with and without the page-table lock of a
/// process held.
fn units_with_lock(guest: &Guest, section: impl FnOnce()) -> (u32, u32) {
    let units = Rc::new(Cell::new((0, 0)));
    let counter = units.clone();
    let count = move |_: &mut xen_model::Machine, _: &xen_model::Site| {
        let (with, without) = counter.get();
        counter.set(match host().holds("page_table_lock") {
            true => (with + 1, without),
            false => (with, without + 1),
        });
    };
    let interloper = Some(Box::new(count) as _);
    guest.host().machine.borrow_mut().set_interloper(interloper);
    section();
    guest.host().machine.borrow_mut().set_interloper(None);
    units.get()
}

/// Sets an entry of the kernel's part of a root, as for memory that is added while processes exist.
fn set_kernel_entry(process: &Process, entry: MachineEntry) {
    let mm = process.mm();
    // Neither Xen nor the kernel uses this entry so far.
    let ptr = mm.root().table().entry(Index::wrapping(300));
    mm.with_page_table_lock(CallContext::here(), || {
        ops::set_upper(ptr, Level::L4, entry);
    });
    assert_eq!(ptr.read(), entry);
}

#[test]
fn kernel_mappings_change_before_and_after_a_tree_is_handed_over() {
    let guest = Guest::boot(GuestConfig::dom0(3000).with_cpus(2));
    let Some(process) = Process::new(guest.pages.clone()) else {
        panic!("no memory for a process");
    };
    // More tables of level 1 than fit into one group.
    for number in 0..30 {
        let at = Vaddr::new(number * (2 << 20));
        assert!(generic::level1_entry(process.mm(), at).is_some());
    }
    let index = address::pfn_to_virt(Pfn::new(0)).index(Level::L4);
    let direct_map = static_tables::root().entry(index).read();

    set_kernel_entry(&process, direct_map);
    let (with, without) = units_with_lock(&guest, || process.enter());
    assert!(with > 60 && without == 0, "{with} with, {without} without");
    set_kernel_entry(&process, MachineEntry::EMPTY);
    set_kernel_entry(&process, direct_map);

    let mm = process.mm();
    let end = || pin::exit(mm, &mut MaySleep::here());
    let (with, without) = units_with_lock(&guest, end);
    assert!(with > 60 && without == 0, "{with} with, {without} without");
    set_kernel_entry(&process, MachineEntry::EMPTY);
    process.exit();
    guest.assert_sound();
}
