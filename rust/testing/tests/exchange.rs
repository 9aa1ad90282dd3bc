// SPDX-License-Identifier: GPL-2.0-only

//! Exchanges of memory with Xen for contiguous frames, and frames that go back to Xen for good.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::contiguous::{
    self,
    NotExchanged, //
};
use crate::entry::MachineEntry;
use crate::guest::{
    generic,
    Access,
    Guest,
    GuestConfig,
    PAGE, //
};
use crate::level::Level;
use crate::p2m;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::kernel::address;
use crate::platform::paging::pages::OwnedRegion;
use crate::platform::xen::abi::VaFlush;
use crate::platform::xen::hypercall;
use xen_model::Owner;

const BY: CallContext<'_> = CallContext::in_test();

fn frames(start: Pfn, order: u32) -> Vec<Option<Mfn>> {
    (0..1 << order)
        .map(|page| p2m::mfn_of(start.add(page)))
        .collect()
}

#[test]
fn the_initial_domain_gets_regions_of_the_orders_that_drivers_ask_for() {
    // For the largest order, Xen needs many frames to have contiguous ones.
    let guest = Guest::boot(GuestConfig {
        spare_frames: 1 << 17,
        ..GuestConfig::dom0(12_000)
    });
    for order in 10..=12 {
        let mut memory = OwnedRegion::new(order).unwrap();
        let start = memory.region().start().pfn();

        let first = contiguous::create(memory.region(), 0, BY).unwrap();
        assert_eq!(first.raw() % (1 << order), 0);
        let in_a_row: Vec<_> = (0..1 << order).map(|page| Some(first.add(page))).collect();
        assert_eq!(frames(start, order), in_a_row);
        assert_eq!(memory.nr_lost_words(), 0);

        contiguous::destroy(memory.region(), BY);
        assert_ne!(frames(start, order), in_a_row);
        assert_eq!(memory.nr_lost_words(), 0);
    }
    guest.assert_sound();
}

#[test]
fn only_the_first_region_of_its_size_takes_memory() {
    let guest = Guest::boot(GuestConfig {
        spare_frames: 1 << 17,
        ..GuestConfig::dom0(12_000)
    });
    let set_short = |is_short: bool| {
        let mut pool = guest.host().pool.borrow_mut();
        pool.set_shortage(is_short.then(|| Box::new(|| true) as Box<_>));
    };
    let [mut small, mut large] = [10, 11].map(|order| OwnedRegion::new(order).unwrap());
    let in_a_row = |memory: &mut OwnedRegion, order| {
        let found = frames(memory.region().start().pfn(), order);
        let first = found[0].unwrap();
        (0..)
            .zip(found)
            .all(|(page, mfn)| mfn == Some(first.add(page)))
    };

    set_short(true);
    let before = frames(small.region().start().pfn(), 10);
    assert_eq!(contiguous::create(small.region(), 0, BY), Err(NotExchanged));
    assert_eq!(frames(small.region().start().pfn(), 10), before);
    set_short(false);
    contiguous::create(large.region(), 0, BY).unwrap();

    // Neither a smaller region nor giving one back allocates memory.
    set_short(true);
    contiguous::create(small.region(), 0, BY).unwrap();
    assert!(in_a_row(&mut small, 10) && in_a_row(&mut large, 11));
    contiguous::destroy(large.region(), BY);
    contiguous::destroy(small.region(), BY);
    assert!(!in_a_row(&mut small, 10) && !in_a_row(&mut large, 11));
    set_short(false);
    guest.assert_sound();
}

#[test]
fn a_guest_gets_no_larger_regions_than_xen_lets_it_have() {
    let guest = Guest::boot(GuestConfig {
        spare_frames: 1 << 15,
        ..GuestConfig::domu(8000)
    });
    for (order, is_allowed) in [(9, true), (10, false)] {
        let mut memory = OwnedRegion::new(order).unwrap();
        let start = memory.region().start().pfn();
        let before = frames(start, order);

        let created = contiguous::create(memory.region(), 0, BY);
        assert_eq!(created.is_ok(), is_allowed, "order {order}");
        if !is_allowed {
            assert_eq!(created, Err(NotExchanged));
            assert_eq!(frames(start, order), before);
        }
        assert_eq!(memory.nr_lost_words(), 0);
    }
    guest.assert_sound();
}

/// Gives a page back as the balloon driver does; returns whether Xen took it.
fn give_back(guest: &Guest, page: Pfn) -> bool {
    let mfn = p2m::mfn_of(page).unwrap();
    let unmapped = hypercall::update_va_mapping(
        address::pfn_to_virt(page),
        MachineEntry::EMPTY,
        VaFlush::All,
    );
    assert_eq!(unmapped, Ok(()));
    assert!(p2m::try_set(page, P2mWord::MISSING));
    let host = guest.host();
    let mut machine = host.machine.borrow_mut();
    machine.decrease_reservation(host.vcpu(), &[mfn.raw() as u64], 0);
    machine.frame(xen_model::Mfn(mfn.raw() as u64)).owner() == Owner::Nobody
}

#[test]
fn pages_that_were_tables_are_free_to_go() {
    let guest = Guest::boot(GuestConfig::dom0(3000));
    let mut process = guest.spawn();
    process.map(8 * PAGE, 4, Access::Write);
    process.write(8 * PAGE, 1);

    let mut tables = vec![process.mm().root().table().pfn()];
    for level in [Level::L4, Level::L3, Level::L2] {
        let ptr = generic::find(process.mm(), level, Vaddr::new(8 * PAGE)).unwrap();
        tables.push(p2m::pfn_of(ptr.read().mfn()).unwrap());
    }
    process.exit();
    for table in tables {
        guest.host().pool.borrow_mut().reserve(table, 1);
        assert!(give_back(&guest, table), "{table:x?} is still in use");
    }
}
