// SPDX-License-Identifier: GPL-2.0-only

//! I30 to I34, I43 and I44: memory operations, descriptors, and that nothing harms the host.

use crate::testing::*;
use crate::*;
use std::collections::BTreeSet;

#[test]
fn i30_a_frame_with_a_mapping_left_stays_with_the_domain() {
    let mut guest = Guest::domu();
    let (who, frame) = (guest.who, guest.page());
    let tot = guest.tot_pages(guest.domain);
    guest.map(0, frame, KERNEL_RO).unwrap();
    assert_eq!(guest.decrease_reservation(who, &[frame.0], 0), 1);
    assert!(guest.owns(guest.domain, frame));
    assert_eq!(guest.tot_pages(guest.domain), tot);
    assert_eq!(guest.populate_physmap(who, &mut [700], 0, 0), 0);

    guest.update(guest.leaf(0), 0).unwrap();
    assert_eq!(guest.frame(frame).owner(), Owner::Nobody);
    assert_eq!(guest.m2p(frame), Some(INVALID_M2P));
    assert_eq!(guest.tot_pages(guest.domain), tot - 1);
    assert_eq!(guest.populate_physmap(who, &mut [700], 0, 0), 1);
}

#[test]
fn i30_xen_flushes_before_a_frame_goes_to_somebody_else() {
    let mut guest = Guest::domu();
    let (who, va, frame) = (guest.who, guest.va(0), guest.page());
    guest.map(0, frame, KERNEL_RW).unwrap();
    guest.write_u64(who, va, 1).unwrap();
    guest.update(guest.leaf(0), 0).unwrap();
    assert_eq!(guest.decrease_reservation(who, &[frame.0], 0), 1);
    assert_eq!(guest.cached_users(frame), [(who, va)]);
    let mut extent = [700];
    assert_eq!(guest.populate_physmap(who, &mut extent, 0, 0), 1);
    assert_eq!(extent, [frame.0], "the frame freed last comes back");
    assert_eq!(guest.cached_users(frame), []);
}

#[test]
fn i31_exchange_takes_unreferenced_frames_only() {
    let mut guest = Guest::domu();
    let who = guest.who;
    let good: Vec<u64> = (0..4).map(|_| guest.page().0).collect();
    let (mapped, pinned, shared) = (
        guest.page(),
        guest.table(&[]),
        guest.shared_info(guest.domain),
    );
    guest.map(0, mapped, KERNEL_RO).unwrap();
    guest.pin(Level::L1, pinned).unwrap();
    for bad in [mapped.0, pinned.0, shared.0, 5, 1 << 40] {
        let given = [good[0], good[1], bad, good[2]];
        let outcome = guest.exchange(who, (&given, 0), (&mut [700], 2), 0);
        assert_eq!(
            (outcome.result, outcome.nr_exchanged),
            (Err(Errno::EINVAL), 0)
        );
        assert!(guest.owns(guest.domain, Mfn(good[0])));
    }
    // In chunks of one, the chunks before the bad one are done.
    let given = [good[0], mapped.0, good[1]];
    let mut wanted = [200, 201, 202];
    let outcome = guest.exchange(who, (&given, 0), (&mut wanted, 0), 0);
    assert_eq!(
        (outcome.result, outcome.nr_exchanged),
        (Err(Errno::EINVAL), 1)
    );
    assert_eq!(guest.m2p(Mfn(wanted[0])), Some(200));
    assert_eq!(wanted[1..], [201, 202]);
    assert!(!guest.owns(guest.domain, Mfn(good[0])) || wanted[0] == good[0]);
    // The same frame twice does not count as two.
    let outcome = guest.exchange(who, (&[good[1]; 2], 0), (&mut [700], 1), 0);
    assert_eq!(outcome.result, Err(Errno::EINVAL));
}

#[test]
fn i31_exchange_makes_memory_contiguous_and_back() {
    let mut guest = Guest::domu();
    let who = guest.who;
    let given: Vec<u64> = (0..8).map(|_| guest.page().0).collect();
    let tot = guest.tot_pages(guest.domain);
    let mut wanted = [300];
    let outcome = guest.exchange(who, (&given, 0), (&mut wanted, 3), 32);
    assert_eq!((outcome.result, outcome.nr_exchanged), (Ok(()), 8));
    for offset in 0..8 {
        assert_eq!(guest.m2p(Mfn(wanted[0] + offset)), Some(300 + offset));
    }
    assert_eq!(guest.tot_pages(guest.domain), tot);
    let mut single: Vec<u64> = (300..308).collect();
    let outcome = guest.exchange(who, (&wanted, 3), (&mut single, 0), 0);
    assert_eq!((outcome.result, outcome.nr_exchanged), (Ok(()), 1));
    assert_eq!(guest.tot_pages(guest.domain), tot);
}

#[test]
fn i31_exchange_refuses_what_does_not_fit() {
    let mut guest = Guest::domu();
    let (who, frame) = (guest.who, guest.page().0);
    let outcome = guest.exchange(who, (&[frame], 0), (&mut [200], 10), 0);
    assert_eq!(outcome.result, Err(Errno::EPERM));
    let outcome = guest.exchange(who, (&[frame], 0), (&mut [200, 201], 0), 0);
    assert_eq!(outcome.result, Err(Errno::EINVAL));
    // Nothing is free below 64 KiB.
    let outcome = guest.exchange(who, (&[frame], 0), (&mut [200], 0), 16);
    assert_eq!(
        (outcome.result, outcome.nr_exchanged),
        (Err(Errno::ENOMEM), 0)
    );
    assert!(guest.owns(guest.domain, Mfn(frame)));
}

#[test]
fn i33_populate_and_decrease_return_how_many() {
    let mut guest = Guest::domu();
    let who = guest.who;
    let frames: Vec<u64> = (0..3).map(|_| guest.page().0).collect();
    let given = [frames[0], frames[1], 1 << 40, frames[2]];
    assert_eq!(guest.decrease_reservation(who, &given, 0), 2);
    let mut wanted = [700, 701, 702, 703];
    assert_eq!(
        guest.populate_physmap(who, &mut wanted, 0, 0),
        2,
        "the limit is reached"
    );
    assert_eq!(wanted[2..], [702, 703]);
    assert_eq!(guest.m2p(Mfn(wanted[1])), Some(701));
    assert_eq!(
        guest.populate_physmap(who, &mut [700], 10, 0),
        0,
        "the order is too high"
    );
    assert_eq!(guest.maximum_reservation(who), 600);
}

#[test]
fn i33_any_extent_can_be_made_to_fail() {
    let mut guest = Guest::domu();
    let who = guest.who;
    let frames: Vec<u64> = (0..3).map(|_| guest.page().0).collect();
    let fail_at = |call, index| -> Injector {
        Box::new(move |site| (site.call == call && site.index == index).then_some(Errno::ENOMEM))
    };
    guest.set_injector(Some(fail_at(Call::Decrease, 2)));
    assert_eq!(guest.decrease_reservation(who, &frames, 0), 2);
    guest.set_injector(Some(fail_at(Call::Populate, 1)));
    assert_eq!(guest.populate_physmap(who, &mut [700, 701], 0, 0), 1);
    guest.set_injector(Some(fail_at(Call::Exchange, 0)));
    let outcome = guest.exchange(who, (&frames[2..], 0), (&mut [702], 0), 0);
    assert_eq!(
        (outcome.result, outcome.nr_exchanged),
        (Err(Errno::ENOMEM), 0)
    );
    guest.set_injector(None);
}

#[test]
#[should_panic(expected = "says that it is continued")]
fn i34_a_count_with_bit_31_is_not_a_fresh_call() {
    let mut guest = Guest::domu();
    let who = guest.who;
    guest.hypercall(who, number::MMU_UPDATE, [0, 1 << 31, 0, SELF.into(), 0]);
}

#[test]
fn i43_descriptor_frames_have_no_writable_mapping() {
    let mut guest = Guest::domu();
    let (who, gdt) = (guest.who, guest.table(&[]));
    guest.map(0, gdt, KERNEL_RW).unwrap();
    assert_eq!(guest.set_gdt(who, &[gdt], 16), Err(Errno::EINVAL));
    guest.update(guest.leaf(0), 0).unwrap();
    assert_eq!(guest.set_gdt(who, &[gdt], 513), Err(Errno::EINVAL));
    guest.set_gdt(who, &[gdt], 16).unwrap();

    let code = 0x00af_9b00_0000_ffff;
    let gate = 0x0000_8c00_0000_0000;
    guest.update_descriptor(who, gdt.word(2), code).unwrap();
    assert_eq!(guest.frame_word(gdt, 2), code | (3 << 45));
    for (at, descriptor) in [
        (gdt.word(2) + 4, code),
        (gdt.word(2), gate),
        (1 << 50, code),
    ] {
        let result = guest.update_descriptor(who, at, descriptor);
        assert_eq!(result, Err(Errno::EINVAL));
    }
    let root = guest.start_of_day(guest.domain).root;
    assert_eq!(
        guest.update_descriptor(who, root.word(0), 0),
        Err(Errno::EINVAL)
    );
    guest.set_gdt(who, &[], 0).unwrap();
    assert_eq!(guest.frame(gdt).count(), 1);
}

#[test]
fn i43_a_frame_with_bad_descriptors_is_refused() {
    let mut guest = Guest::domu();
    let (who, good) = (guest.who, guest.table(&[]));
    let bad = guest.table(&[(511, Entry(0x0000_8c00_0000_0000))]);
    assert_eq!(guest.set_gdt(who, &[good, bad], 1024), Err(Errno::EINVAL));
    assert_eq!(guest.frame(good).count(), 1);
}

#[test]
fn i43_the_ldt_is_named_by_a_page_address() {
    let mut guest = Guest::domu();
    let (who, va) = (guest.who, guest.va(0));
    for (va, entries) in [(va + 8, 1), (va, 8193), (XEN_START, 1)] {
        assert_eq!(guest.ext(MmuExtOp::SetLdt(va, entries)), Err(Errno::EINVAL));
    }
    guest.ext(MmuExtOp::SetLdt(va, 10)).unwrap();
    assert_eq!(guest.ldt(who), (va, 10));
}

/// Makes a random call on random frames, valid or not.
///
/// Returns its name and whether it succeeded.
fn random_call(guest: &mut Guest, rng: &mut Rng, frames: &[Mfn]) -> (&'static str, bool) {
    let who = guest.who;
    let pick = |rng: &mut Rng| frames[rng.below(frames.len() as u64) as usize];
    let flags = [
        0,
        KERNEL_RO,
        KERNEL_RW,
        USER_RO,
        USER_RW,
        TABLE,
        TABLE | 0x80,
    ];
    let level = Level::DOWN[rng.below(4) as usize];
    let (mfn, other) = (pick(rng), pick(rng));
    let at = mfn.word(rng.below(4) as usize) | [0, 0, 2, 1, 5][rng.below(5) as usize];
    let entry = Entry::new(other, flags[rng.below(7) as usize]).0;
    match rng.below(8) {
        0..=2 => {
            let updates = [MmuUpdate::normal(at, entry), MmuUpdate::normal(at ^ 8, 0)];
            let outcome = guest.mmu_update(who, &updates, SELF);
            ("mmu_update", outcome.result.is_ok())
        }
        3 => ("pin", guest.pin(level, mfn).is_ok()),
        4 => ("unpin", guest.unpin(mfn).is_ok()),
        5 => {
            let op = [MmuExtOp::NewUserBaseptr, MmuExtOp::ClearPage][rng.below(2) as usize];
            ("mmuext_op", guest.ext(op(mfn)).is_ok())
        }
        6 => {
            let given = guest.decrease_reservation(who, &[mfn.0], 0);
            let taken = guest.populate_physmap(who, &mut [700], 0, 0);
            ("memory", given == 1 && taken == 1)
        }
        _ => {
            let outcome = guest.exchange(who, (&[mfn.0, other.0], 0), (&mut [700], 1), 0);
            ("exchange", outcome.result.is_ok())
        }
    }
}

#[test]
fn i44_no_sequence_of_calls_harms_the_host() {
    let mut seen = BTreeSet::new();
    for seed in 0..8 {
        let mut rng = Rng::new(seed);
        let mut guest = Guest::with_two_vcpus();
        guest.set_hardware_activity(HardwareActivity::ALL);
        let frames: Vec<Mfn> = (0..12).map(|_| guest.table(&[])).collect();
        for step in 0..600 {
            seen.insert(random_call(&mut guest, &mut rng, &frames));
            if step % 20 == 0 {
                guest.assert_sound();
            }
        }
    }
    // Each kind of call has failed at least once, and succeeded at least once.
    for call in [
        "mmu_update",
        "pin",
        "unpin",
        "mmuext_op",
        "memory",
        "exchange",
    ] {
        for has_worked in [false, true] {
            assert!(seen.contains(&(call, has_worked)), "{call}: {has_worked}");
        }
    }
}
