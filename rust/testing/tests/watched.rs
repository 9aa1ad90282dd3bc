// SPDX-License-Identifier: GPL-2.0-only

//! What Xen's toolstack can see of a p2m list that grows while it reads it.

use crate::addr::Pfn;
use crate::guest::{
    Guest,
    GuestConfig, //
};
use crate::p2m;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::early::start_of_day::SharedP2m;
use std::cell::RefCell;
use std::rc::Rc;
use xen_model::{
    shared_info,
    Machine, //
};

const BEYOND: Pfn = Pfn::new(300_000);

fn grow() {
    assert!(p2m::grow::set(BEYOND, P2mWord::from_raw(1), &mut MaySleep::here()).is_ok());
}

#[test]
fn a_length_that_was_read_before_the_generation_may_be_too_short() {
    let guest = Guest::boot(GuestConfig::domu(3000));
    let (host, domain) = (guest.host(), guest.host().domain);

    // Xen's toolstack finds the generation unchanged, but has a length without the last pages.
    let length = host.machine.borrow().list_length(domain);
    grow();
    let view = host.machine.borrow().map_list(domain, length).unwrap();
    assert_eq!(view.generation, SharedP2m::generation() as u64);
    assert!(view.words.len() <= BEYOND.raw());

    let whole = host.machine.borrow().read_list(domain).unwrap();
    assert_eq!(whole.words.get(BEYOND.raw()), Some(&1));
}

#[test]
fn the_length_changes_only_while_the_generation_is_odd() {
    let guest = Guest::boot(GuestConfig::domu(3000));
    let (host, domain) = (guest.host(), guest.host().domain);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let look = move |machine: &Machine| {
        let word = |index| machine.frame_word(machine.shared_info(domain), index);
        let [generation, length] = [shared_info::P2M_GENERATION, shared_info::MAX_PFN].map(word);
        (generation, length)
    };

    let looks = Rc::clone(&seen);
    let watcher = move |machine: &mut Machine| looks.borrow_mut().push(look(machine));
    host.machine
        .borrow_mut()
        .set_watcher(Some(Box::new(watcher)));
    grow();
    host.machine.borrow_mut().set_watcher(None);
    seen.borrow_mut().push(look(&host.machine.borrow()));

    // There is one store between two samples.
    let seen = seen.borrow();
    let changes = || seen.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    assert!(changes().count() > 0);
    for pair in changes() {
        assert_eq!(pair[0].0, pair[1].0);
        assert_eq!(pair[0].0 % 2, 1);
    }
}
