// SPDX-License-Identifier: GPL-2.0

//! What Xen's toolstack can know of a p2m list that grows while it looks.

use crate::frame::{
    P2mWord,
    Pfn, //
};
use crate::guest::{
    Guest,
    GuestConfig, //
};
use crate::p2m;
use crate::platform::{
    MaySleep,
    SharedP2m, //
};
use xen_model::shared_info;

const BEYOND: Pfn = Pfn::new(300_000);

fn grow() {
    assert!(p2m::set(
        BEYOND,
        P2mWord::from_raw(1),
        &mut MaySleep::here()
    ));
}

#[test]
fn a_length_that_was_read_before_the_generation_may_be_too_short() {
    let guest = Guest::boot(GuestConfig::domu(3000));
    let (host, domain) = (guest.host(), guest.host().domain);

    // Xen's toolstack: it compares generations that are the same, and lacks the last pages.
    let length = host.machine.borrow().list_length(domain);
    grow();
    let view = host.machine.borrow().map_list(domain, length).unwrap();
    assert_eq!(view.generation, SharedP2m::generation() as u64);
    assert!(view.words.len() <= BEYOND.raw());

    let whole = host.machine.borrow().read_list(domain).unwrap();
    assert_eq!(whole.words.get(BEYOND.raw()), Some(&1));
}

#[test]
fn the_length_between_two_equal_even_generations_is_right() {
    let guest = Guest::boot(GuestConfig::domu(3000));
    let host = guest.host();
    let (domain, before) = (host.domain, SharedP2m::generation());
    let seen = std::rc::Rc::new(std::cell::RefCell::new(std::collections::BTreeMap::new()));
    let lengths = seen.clone();
    host.machine
        .borrow_mut()
        .set_interloper(Some(Box::new(move |machine, _| {
            let word = |index| machine.frame_word(machine.shared_info(domain), index);
            let generation = word(shared_info::P2M_GENERATION);
            let lengths: &mut std::collections::BTreeMap<_, std::collections::BTreeSet<_>> =
                &mut lengths.borrow_mut();
            lengths
                .entry(generation)
                .or_default()
                .insert(word(shared_info::MAX_PFN));
        })));
    grow();
    host.machine.borrow_mut().set_interloper(None);
    assert!(SharedP2m::generation() > before);
    let seen = seen.borrow();
    assert!(seen.keys().any(|generation| generation % 2 != 0));
    for (generation, lengths) in seen.iter() {
        assert!(generation % 2 != 0 || lengths.len() == 1, "{generation}");
    }
}
