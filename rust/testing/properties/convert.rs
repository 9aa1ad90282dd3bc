// SPDX-License-Identifier: GPL-2.0-only

//! Conversions of entries, there and back, for every kind of frame.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::convert::{
    to_machine,
    to_pseudo, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::guest::GuestConfig;
use crate::level::PAGE_SHIFT;
use crate::p2m;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::xen::machine_map::{
    self,
    xen_max_p2m_pfn, //
};
use crate::properties::p2m::place;
use crate::properties::p2m_list::{
    Kind,
    List,
    Operation, //
};
use crate::properties::{
    config,
    regressions, //
};
use proptest::prelude::*;
use xen_model::{
    DomainConfig,
    MmuUpdate, //
};

const OWN_PAGES: u64 = 700;

/// Returns the frame that stands for `mfn`, according to the p2m list and Xen's m2p table.
fn owner(list: &List, mfn: Mfn) -> Option<Pfn> {
    let by_table =
        machine_map::m2p_load(mfn).filter(|pfn| list.expected(*pfn) == P2mEntry::Local(mfn));
    let same = Pfn::new(mfn.raw());
    by_table.or_else(|| (list.expected(same) == P2mEntry::Identity).then_some(same))
}

fn check_make(list: &List, pfn: Pfn, flags: Protection) {
    let pseudo = PseudoEntry::new(pfn, flags);
    let machine = to_machine(pseudo);
    if !pseudo.is_present() {
        assert_eq!(machine.raw(), pseudo.raw());
        return;
    }
    let mfn = match list.expected(pfn) {
        P2mEntry::Local(mfn) | P2mEntry::Foreign(mfn) => mfn,
        P2mEntry::Identity => Mfn::new(pfn.raw()),
        P2mEntry::Missing => return assert_eq!(machine, MachineEntry::EMPTY),
    };
    assert_eq!(machine, MachineEntry::new(mfn, flags));
    if owner(list, mfn) == Some(pfn) {
        assert_eq!(to_pseudo(machine), pseudo);
    }
}

fn check_val(list: &List, mfn: Mfn, flags: Protection) {
    let machine = MachineEntry::new(mfn, flags);
    let pseudo = to_pseudo(machine);
    if !machine.is_present() {
        assert_eq!(machine.raw(), pseudo.raw());
        return;
    }
    match owner(list, mfn) {
        Some(pfn) => {
            assert_eq!(pseudo, PseudoEntry::new(pfn, flags));
            assert_eq!(to_machine(pseudo), machine);
        }
        // The entry is safe against L1TF, and survives a move to other frames.
        None => assert_eq!(pseudo.raw(), flags.raw() & !bits::PRESENT),
    }
}

/// Gives the guest a new frame whose number is that of its page.
fn add_one_to_one(list: &mut List) -> Pfn {
    let host = list.guest().host();
    let mut machine = host.machine.borrow_mut();
    let mut others = Vec::new();
    let mfn = loop {
        let mut extent = [0];
        assert_eq!(machine.populate_physmap(host.vcpu(), &mut extent, 0, 0), 1);
        if extent[0] >= OWN_PAGES {
            break xen_model::Mfn(extent[0]);
        }
        others.push(extent[0]);
    };
    let given_back = machine.decrease_reservation(host.vcpu(), &others, 0);
    assert_eq!(given_back, others.len() as u64);
    let update = MmuUpdate::machphys(mfn, mfn.0);
    let done = machine.mmu_update(host.vcpu(), &[update], xen_model::domid::SELF);
    assert_eq!(done.result, Ok(()));
    drop(machine);

    let pfn = Pfn::new(mfn.0 as usize);
    let entry = P2mEntry::Local(Mfn::new(pfn.raw()));
    list.expect(pfn, entry);
    assert!(p2m::grow::set(pfn, P2mWord::encode(pfn, entry), &mut MaySleep::here()).is_ok());
    pfn
}

fn flags() -> impl Strategy<Value = Protection> {
    prop_oneof![
        any::<usize>().prop_map(Protection::from_raw),
        any::<usize>().prop_map(|flags| Protection::from_raw(flags | bits::PRESENT)),
    ]
}

proptest! {
    #![proptest_config(config(6, regressions!("convert")))]

    #[test]
    fn conversions_are_inverse_wherever_a_frame_is_ours(
        seed in any::<u64>(),
        kinds in prop::collection::vec((place(), 0..4u8, any::<u16>()), 10..40),
        flags in prop::collection::vec(flags(), 4..8),
        words in prop::collection::vec(any::<usize>(), 8),
    ) {
        let mut list = List::boot(GuestConfig::dom0(OWN_PAGES).with_seed(seed));
        let one_to_one = add_one_to_one(&mut list);
        for (place, kind, number) in &kinds {
            list.apply(match kind {
                0 => Operation::Set(*place, Kind::Foreign(*number)),
                1 => Operation::Set(*place, Kind::Identity),
                2 => Operation::Set(*place, Kind::Missing),
                _ => Operation::BalloonOut,
            });
        }
        let others = DomainConfig::domu(64).compact();
        let other = list.guest().host().machine.borrow_mut().create_domain(others);
        let Ok(other) = other else {
            panic!("no second domain: {other:?}");
        };
        let foreign: Vec<_> = {
            let machine = list.guest().host().machine.borrow();
            let numbers = machine.frames_of(other).map(|mfn| Mfn::new(mfn.0 as usize));
            numbers.collect()
        };
        // A foreign frame looks like an identity frame if the list has one of the same number.
        // Those below `OWN_PAGES` keep their words.
        let is_free = |mfn: &&Mfn| mfn.raw() as u64 >= OWN_PAGES;
        for mfn in foreign.iter().filter(is_free).step_by(2) {
            let pfn = Pfn::new(mfn.raw());
            list.expect(pfn, P2mEntry::Missing);
            prop_assert!(p2m::grow::set(pfn, P2mWord::MISSING, &mut MaySleep::here()).is_ok());
        }
        let size = xen_max_p2m_pfn.get();
        let touched = kinds.iter().map(|(place, ..)| place.pfn());
        let beyond = [size, size + 1, 1 << 39, (1 << 40) - 1].map(Pfn::new);

        for flags in flags {
            for pfn in touched.clone().chain(beyond).chain((0..1200).map(Pfn::new)) {
                check_make(&list, pfn, flags);
                check_val(&list, Mfn::new(pfn.raw()), flags);
            }
            check_val(&list, Mfn::new(one_to_one.raw()), flags);
            for mfn in &foreign {
                check_val(&list, *mfn, flags);
            }
        }
        let hidden = |mfn: &&Mfn| owner(&list, **mfn).is_none();
        prop_assert!(foreign.iter().filter(hidden).count() > 0, "no frame of others is hidden");
        for word in words {
            let absent = word & !bits::PRESENT;
            prop_assert_eq!(to_machine(PseudoEntry::from_raw(absent)).raw(), absent);
            prop_assert_eq!(to_pseudo(MachineEntry::from_raw(absent)).raw(), absent);
            let pfn = Pfn::new((word & bits::FRAME) >> PAGE_SHIFT);
            check_make(&list, pfn, Protection::from_raw(word));
        }
    }
}
