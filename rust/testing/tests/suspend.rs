// SPDX-License-Identifier: GPL-2.0-only

//! Save and restore of the domain: what must move with it.

use crate::guest::suspend::{
    assert_savable,
    suspend, //
};
use crate::guest::{
    Access,
    Guest,
    GuestConfig,
    PAGE, //
};
use xen_model::shared_info::FRAME_LIST_LIST;

#[test]
fn processes_continue_in_other_frames() {
    let guest = Guest::boot(GuestConfig::domu(2000).with_cpus(2));
    let before = guest.snapshot();
    let mut parent = guest.spawn();
    parent.map(0x1000, 8, Access::Write);
    parent.write(0x1000, 2);

    // A process under construction, in use, and while it exits.
    let child = parent.fork_with(|| suspend(true));
    suspend(true);
    child.exit_with(|| suspend(true));
    assert_eq!(parent.read(0x1000), 2);
    parent.write(0x1000 + PAGE, 4);
    parent.exit();
    guest.assert_sound();
    guest.snapshot().assert_same(&before);
}

/// Words of the tree beyond the last page hold frames as well, and those have moved too.
#[test]
fn the_whole_tree_moves() {
    let guest = Guest::boot(GuestConfig::domu(2000));
    let host = guest.host();
    let assert_own = || {
        let machine = host.machine.borrow();
        let word = |page, index| {
            let mfn = xen_model::Mfn(machine.frame_word(page, index));
            assert!(machine.owns(host.domain, mfn), "word {index} is {mfn:x?}");
            mfn
        };
        let top = word(machine.shared_info(host.domain), FRAME_LIST_LIST);
        for middle in 0..512 {
            let middle = word(top, middle);
            for leaf in 0..512 {
                word(middle, leaf);
            }
        }
    };
    assert_own();
    suspend(true);
    assert_own();
}

#[test]
#[should_panic(expected = "RawTable")]
fn a_tree_that_is_not_pinned_cannot_be_saved() {
    let guest = Guest::boot(GuestConfig::domu(2000));
    let mut parent = guest.spawn();
    parent.map(0x1000, 8, Access::Write);
    parent.write(0x1000, 2);
    parent.fork_with(assert_savable).exit();
}
