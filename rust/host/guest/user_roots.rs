// SPDX-License-Identifier: GPL-2.0

//! User roots that wait for the next process.

use crate::addr::Index;
use crate::entry::{
    bits,
    PseudoEntry, //
};
use crate::guest::edge::Switch;
use crate::guest::{
    Access,
    Guest,
    GuestConfig,
    Process, //
};
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::platform::{
    user_vsyscall_table,
    Caller,
    Command, //
};
use crate::{
    convert,
    p2m,
    user_root, //
};

const START: usize = 0x40_0000;

/// Makes a process with a page, and runs it on this CPU.
fn busy(guest: &Guest) -> Process {
    let mut process = guest.spawn();
    process.map(START, 1, Access::Write);
    process.write(START, 7);
    process
}

fn nr_spares() -> usize {
    let mut count = 0;
    user_root::for_each_spare(|_| count += 1);
    count
}

#[test]
fn the_next_process_gets_the_user_root_of_the_last() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let before = guest.snapshot();
    let first = busy(&guest);
    let of_first = first.mm().root().user_root();
    first.exit();
    assert_eq!(nr_spares(), 1);
    guest.assert_sound();

    let second = guest.spawn();
    assert_eq!(second.mm().root().user_root(), of_first);
    assert_eq!(nr_spares(), 0);
    second.exit();
    guest.snapshot().assert_same(&before);
    assert_eq!(nr_spares(), 0);
}

#[test]
fn only_some_wait() {
    let guest = Guest::boot(GuestConfig::dom0(8000));
    let before = guest.snapshot();
    let processes: Vec<_> = (0..20).map(|_| busy(&guest)).collect();
    processes.into_iter().for_each(Process::exit);
    assert_eq!(nr_spares(), 16);
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
}

#[test]
fn none_waits_when_that_is_switched_off() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    Switch::Reuses.off();
    busy(&guest).exit();
    assert_eq!(nr_spares(), 0);
    guest.assert_sound();
}

#[test]
fn one_with_an_entry_left_does_not_wait() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let before = guest.snapshot();
    let process = busy(&guest);
    let slot = process
        .mm()
        .root()
        .user_root()
        .unwrap()
        .entry(Index::wrapping(255));
    // Some table of level 3, for one of the process.
    let table = user_vsyscall_table().unwrap();
    let entry = PseudoEntry::from_raw(table.pfn().paddr().raw() | bits::USER_TABLE);

    process.exit_with(|| {
        let at = p2m::machine_address(slot.vaddr());
        let entry = convert::to_machine(entry);
        Batch::open(Issue::Now, Caller::here()).update(Command::Normal, at, entry);
    });
    assert_eq!(nr_spares(), 0);
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
}

#[test]
fn none_waits_that_a_cpu_has_loaded() {
    let guest = Guest::boot(GuestConfig::dom0(4000).with_cpus(2));
    let process = busy(&guest);
    process.add_thread();
    guest.switch_to(1);
    process.run();
    guest.run_kernel_task();
    guest.switch_to(0);

    process.exit();
    assert_eq!(nr_spares(), 1);
    for cpu in 0..2 {
        let vcpu = guest.host().domain.vcpu(cpu);
        assert_eq!(guest.host().machine.borrow().user_root(vcpu), None);
    }
    guest.assert_sound();
}
