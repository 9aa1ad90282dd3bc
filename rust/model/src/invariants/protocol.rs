// SPDX-License-Identifier: GPL-2.0

//! I15 to I25: the protocol of updates.

use crate::entry::*;
use crate::testing::*;
use crate::*;
use std::cell::Cell;
use std::rc::Rc;

/// Maps a new table of level 1, pinned if asked for, read-only at leaf 0.
fn mapped_table(guest: &mut Guest, pinned: bool) -> Mfn {
    let table = guest.table(&[]);
    guest.map(0, table, KERNEL_RO).unwrap();
    if pinned {
        guest.pin(Level::L1, table).unwrap();
    }
    table
}

#[test]
fn i15_a_store_to_a_table_faults_in_a_domu_without_the_assist() {
    let mut guest = Guest::domu();
    mapped_table(&mut guest, true);
    let (who, va) = (guest.who, guest.va(0));
    let fault = Fault {
        va,
        kind: FaultKind::Protection,
        write: true,
    };
    assert_eq!(guest.write_u64(who, va, ACCESSED), Err(fault));
    assert_eq!(guest.xchg_u64(who, va, ACCESSED), Err(fault));
    assert_eq!(guest.read_u64(who, va), Ok(0));
}

#[test]
fn i15_a_store_to_a_table_is_emulated_in_dom0_or_with_the_assist() {
    for mut guest in [Guest::dom0(), Guest::domu().with_emulation()] {
        let table = mapped_table(&mut guest, true);
        let (who, va, frame) = (guest.who, guest.va(0), guest.page());
        let leaf = Entry::new(frame, USER_RW);
        guest.write_u64(who, va, leaf.0).unwrap();
        assert_eq!(guest.frame_word(table, 0), leaf.0 | GLOBAL);
        assert_eq!(guest.frame(frame).type_count(), 1);
        assert_eq!(guest.stats().emulated_stores, 1);
        // An entry that Xen refuses is the guest's fault.
        let root = guest.start_of_day(guest.domain).root;
        let bad = Entry::new(root, USER_RW).0;
        assert!(guest.write_u64(who, va, bad).is_err());
        assert_eq!(guest.frame_word(table, 0), leaf.0 | GLOBAL);
    }
}

#[test]
fn i15_stores_to_upper_and_to_untyped_tables_fault_everywhere() {
    let mut guest = Guest::dom0();
    let who = guest.who;
    mapped_table(&mut guest, false);
    let untyped = guest.va(0);
    assert!(guest.write_u64(who, untyped, 0).is_err());
    for level in [Level::L2, Level::L3, Level::L4] {
        let table = guest.table(&[]);
        guest.pin(level, table).unwrap();
        guest.map(1, table, KERNEL_RO).unwrap();
        let va = guest.va(1);
        assert!(guest.write_u64(who, va, 0).is_err());
    }
    // A table that is mapped writable takes plain stores, as any memory.
    let table = guest.table(&[]);
    guest.map(1, table, KERNEL_RW).unwrap();
    let va = guest.va(1);
    guest.write_u64(who, va, PRESENT).unwrap();
    assert_eq!(guest.frame_word(table, 0), PRESENT);
}

#[test]
fn i15_user_mode_never_writes_tables() {
    let mut guest = Guest::dom0();
    let table = guest.table(&[]);
    let path = guest.path(&[(0, Entry::new(table, USER_RO))]);
    guest.pin(Level::L1, table).unwrap();
    guest.pin(Level::L4, path.root()).unwrap();
    guest.ext(MmuExtOp::NewUserBaseptr(path.root())).unwrap();
    let who = guest.who;
    let fault = guest.user_write(who, 0, 0).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Protection);
}

#[test]
fn i16_only_natural_stores_are_emulated() {
    let mut guest = Guest::dom0();
    let table = mapped_table(&mut guest, true);
    let (who, va) = (guest.who, guest.va(0));
    let high_half = 0x8000_0000_u128;
    guest.write_bytes(who, va + 4, 4, high_half).unwrap();
    assert_eq!(guest.frame_word(table, 0), NX);
    for (offset, size) in [(2, 1), (2, 2), (8, 8)] {
        guest.write_bytes(who, va + offset, size, 0).unwrap();
    }
    for (offset, size) in [(0, 16), (1, 2), (4, 8), (0, 3)] {
        let result = guest.write_bytes(who, va + offset, size, 0);
        assert!(result.is_err(), "{size} bytes at {offset}");
    }
}

#[test]
fn i16_locked_stores_keep_what_hardware_sets_and_can_clear_it() {
    let mut guest = Guest::dom0();
    let table = mapped_table(&mut guest, true);
    let (who, va, frame) = (guest.who, guest.va(0), guest.page());
    let leaf = Entry::new(frame, USER_RW | GLOBAL | ACCESSED | DIRTY).0;
    guest.update(table.word(0), leaf).unwrap();
    let mask = !(ACCESSED | DIRTY);
    assert_eq!(guest.store(who, va, Store::And(mask)), Ok(leaf));
    assert_eq!(guest.frame_word(table, 0), leaf & mask);
    let was = guest.cmpxchg_u64(who, va, leaf, 0);
    assert_eq!(was, Ok(leaf & mask), "the comparison fails");
    assert_eq!(guest.frame_word(table, 0), leaf & mask);
    assert_eq!(guest.xchg_u64(who, va, 0), Ok(leaf & mask));
    assert_eq!(guest.frame(frame).count(), 1);
}

#[test]
fn i17_command_bits_beyond_three_are_enosys() {
    let mut guest = Guest::domu();
    let (who, at) = (guest.who, guest.leaf(0));
    for command in 4..8 {
        let update = MmuUpdate::normal(at | command, 0);
        assert_eq!(guest.mmu_update_one(who, update), Err(Errno::ENOSYS));
    }
    let update = MmuUpdate::normal(at | MmuUpdate::NO_TRANSLATE, 0);
    guest.mmu_update_one(who, update).unwrap();
}

#[test]
fn i17_an_update_of_an_ordinary_frame_overwrites_memory() {
    let mut guest = Guest::domu();
    let (frame, mapped) = (guest.page(), guest.page());
    guest.map(0, mapped, KERNEL_RW).unwrap();
    for mfn in [frame, mapped] {
        guest.update(mfn.word(3), 0x1234).unwrap();
        assert_eq!(guest.frame_word(mfn, 3), 0x1234);
        assert_eq!(guest.frame(mfn).page_type(), PageType::Writable);
    }
}

#[test]
fn i17_frames_of_others_and_descriptors_are_einval() {
    let mut guest = Guest::domu();
    let other = guest.add_domu();
    let foreign = guest.start_of_day(other).frames[500];
    let gdt = guest.table(&[]);
    let who = guest.who;
    guest.set_gdt(who, &[gdt], 1).unwrap();
    for mfn in [foreign, Mfn(1 << 39), Mfn(5), gdt] {
        assert_eq!(guest.update(mfn.word(0), 0), Err(Errno::EINVAL), "{mfn:?}");
    }
}

#[test]
fn i18_a_page_number_for_a_frame_number_maps_the_wrong_page_or_fails() {
    let mut guest = Guest::domu();
    let mut right = 0;
    for pfn in 0..600 {
        match guest.map(0, Mfn(pfn), KERNEL_RO) {
            Ok(()) => {
                right += u32::from(guest.start_of_day(guest.domain).frames[pfn as usize].0 == pfn)
            }
            Err(error) => assert!([Errno::EBUSY, Errno::EPERM].contains(&error)),
        }
    }
    assert_eq!(right, 0);
}

#[test]
fn i19_slots_of_xen_are_einval_and_overwritten() {
    let mut guest = Guest::domu();
    let path = guest.path(&[]);
    guest.set_frame_word(path.root(), 256, Entry::new(Mfn(3), PSE | PRESENT).0);
    guest.set_frame_word(path.root(), 271, u64::MAX);
    guest.pin(Level::L4, path.root()).unwrap();
    for slot in 256..=271 {
        let before = guest.frame_word(path.root(), slot);
        assert_ne!(before, u64::MAX);
        assert_eq!(guest.update(path.root().word(slot), 0), Err(Errno::EINVAL));
        assert_eq!(guest.frame_word(path.root(), slot), before);
    }
    guest.update(path.root().word(255), 0).unwrap();
    guest.update(path.root().word(272), 0).unwrap();
}

/// A guest whose second vCPU runs on a user page that is mapped writable; the leaf.
fn guest_with_user_page() -> (Guest, u64) {
    let mut guest = Guest::with_two_vcpus();
    let frame = guest.page();
    let path = guest.path(&[(0, Entry::new(frame, USER_RW))]);
    guest.pin(Level::L4, path.root()).unwrap();
    let other = guest.other();
    guest
        .mmuext_one(other, MmuExtOp::NewUserBaseptr(path.root()))
        .unwrap();
    (guest, path.leaves().word(0))
}

#[test]
fn i20_a_plain_store_loses_a_dirty_bit_and_the_ledger_tells() {
    let (mut guest, at) = guest_with_user_page();
    let other = guest.other();
    let before = guest.entry_at(at);
    guest.user_write(other, 0, 1).unwrap();
    guest.update(at, before.0 & !RW).unwrap();
    let lost = guest.take_lost_dirty();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].mfn(), before.mfn());
    assert!(!lost[0].is_kernel());
    assert_eq!(lost[0].was, before.0 | ACCESSED | DIRTY);
}

#[test]
fn i20_preserving_keeps_a_dirty_bit_until_it_is_read() {
    let (mut guest, at) = guest_with_user_page();
    let (who, other) = (guest.who, guest.other());
    guest.user_write(other, 0, 1).unwrap();
    guest
        .mmu_update_one(who, MmuUpdate::preserve_ad(at, 0))
        .unwrap();
    assert_eq!(guest.entry_at(at).0, ACCESSED | DIRTY);
    assert_eq!(guest.nr_unseen_dirty(), 1);

    // Read through a mapping of the table, then gone.
    guest.map(0, Mfn::of(at), KERNEL_RO).unwrap();
    let va = guest.va(0);
    assert_eq!(guest.read_u64(who, va), Ok(ACCESSED | DIRTY));
    guest.update(at, 0).unwrap();
    assert_eq!(guest.take_lost_dirty(), []);
    assert_eq!(guest.nr_unseen_dirty(), 0);
}

#[test]
fn i20_hardware_sets_bits_between_units() {
    let (mut guest, at) = guest_with_user_page();
    let (who, other) = (guest.who, guest.other());
    guest.enter_user(other).unwrap();
    guest.set_hardware_noise(Noise::ALL);
    for _ in 0..10 {
        guest.mmuext_one(who, MmuExtOp::TlbFlushLocal).unwrap();
    }
    assert!(guest.entry_at(at).has(ACCESSED | DIRTY));
    assert_eq!(guest.nr_unseen_dirty(), 1);
    let cached = guest.cached(other, 0).unwrap();
    assert!(cached.writable && cached.dirty);
}

#[test]
fn i21_elements_before_the_failure_are_done_and_others_not() {
    let mut guest = Guest::domu();
    let (who, frame) = (guest.who, guest.page());
    let leaf = Entry::new(frame, USER_RW).0;
    let root = guest.start_of_day(guest.domain).root;
    let bad = Entry::new(root, USER_RW).0;
    let places: Vec<u64> = (0..4).map(|number| guest.leaf(number)).collect();
    let values = [leaf, leaf, bad, leaf];
    let updates: Vec<MmuUpdate> = places
        .iter()
        .zip(values)
        .map(|(&at, val)| MmuUpdate::normal(at, val))
        .collect();
    let outcome = guest.mmu_update(who, &updates, SELF);
    let failed = UpdateOutcome {
        result: Err(Errno::EBUSY),
        done: 2,
    };
    assert_eq!(outcome, failed);
    let present = places.iter().map(|&at| guest.entry_at(at).is_present());
    assert!(present.eq([true, true, false, false]));
    // Going on behind the failure.
    let outcome = guest.mmu_update(who, &updates[3..], SELF);
    assert_eq!((outcome.result, outcome.done), (Ok(()), 1));
}

#[test]
fn i21_extended_operations_stop_alike() {
    let mut guest = Guest::domu();
    let (who, table) = (guest.who, guest.table(&[]));
    let ops = [
        MmuExtOp::Pin(Level::L1, table),
        MmuExtOp::Unknown(14),
        MmuExtOp::Unpin(table),
    ];
    let outcome = guest.mmuext_op(who, &ops, SELF);
    assert_eq!((outcome.result, outcome.done), (Err(Errno::ENOSYS), 1));
    assert!(guest.frame(table).is_pinned());
}

#[test]
fn i21_any_element_can_be_made_to_fail() {
    for index in 0..3 {
        let mut guest = Guest::domu();
        let (who, frame) = (guest.who, guest.page());
        let updates: Vec<MmuUpdate> = (0..3)
            .map(|n| MmuUpdate::normal(guest.leaf(n), Entry::new(frame, USER_RO).0))
            .collect();
        guest.set_injector(Some(Box::new(move |site| {
            (site.call == Call::MmuUpdate && site.index == index).then_some(Errno::EBUSY)
        })));
        let outcome = guest.mmu_update(who, &updates, SELF);
        assert_eq!(outcome.result, Err(Errno::EBUSY));
        assert_eq!(outcome.done as usize, index);
        assert_eq!(guest.frame(frame).count() as usize, 1 + index);
        guest.set_injector(None);
    }
}

#[test]
fn i22_a_failed_entry_does_not_stop_a_multicall() {
    let mut guest = Guest::domu();
    let (who, va, frame) = (guest.who, guest.va(0), guest.page());
    let before = guest.stats();
    let entries = [
        MulticallEntry::MmuUpdate {
            updates: vec![MmuUpdate::normal(guest.leaf(0) | 5, 0)],
            foreigndom: SELF,
        },
        MulticallEntry::Unknown(63),
        MulticallEntry::Multicall,
        MulticallEntry::UpdateVaMapping {
            va,
            val: Entry::new(frame, USER_RO).0,
            flags: 0,
        },
        MulticallEntry::MmuextOp {
            ops: vec![MmuExtOp::TlbFlushLocal],
            foreigndom: SELF,
        },
    ];
    let results = guest.multicall(who, &entries).unwrap();
    let enosys = Errno::ENOSYS.negative();
    assert_eq!(results, [enosys, enosys, Errno::EINVAL.negative(), 0, 0]);
    assert_eq!(guest.entry_at(guest.leaf(0)).mfn(), frame);
    assert_eq!((guest.stats() - before).world_entries, 1);
}

#[test]
fn i22_each_entry_of_a_multicall_in_memory_gets_its_result() {
    let mut guest = Guest::domu();
    let (who, page) = (guest.who, guest.page());
    guest.map(0, page, KERNEL_RW).unwrap();
    let at = guest.va(0);
    let va = guest.va(1);
    for (entry, words) in [
        [
            number::UPDATE_VA_MAPPING,
            77,
            va,
            Entry::new(page, USER_RO).0,
            0,
        ],
        [number::UPDATE_VA_MAPPING, 77, 1 << 47, 0, 0],
        [99, 77, 0, 0, 0],
    ]
    .iter()
    .enumerate()
    {
        for (index, &word) in words.iter().enumerate() {
            guest.set_frame_word(page, entry * 8 + index, word);
        }
    }
    assert_eq!(guest.hypercall(who, number::MULTICALL, [at, 3, 0, 0, 0]), 0);
    let results = [1, 9, 17].map(|index| guest.frame_word(page, index) as i64);
    assert_eq!(
        results,
        [0, Errno::EINVAL.negative(), Errno::ENOSYS.negative()]
    );
    // Past the end of what is mapped.
    let efault = Errno::EFAULT.negative();
    let args = [at + 4096 - 64 + (1 << 20), 2, 0, 0, 0];
    assert_eq!(guest.hypercall(who, number::MULTICALL, args), efault);
    assert_eq!(
        guest.hypercall(who, number::MULTICALL, [1 << 47, 2, 0, 0, 0]),
        efault
    );
}

#[test]
fn i23_arguments_that_change_during_the_call_are_used_as_they_are_then() {
    let mut guest = Guest::domu();
    let (who, page, frame) = (guest.who, guest.page(), guest.page());
    guest.map(0, page, KERNEL_RW).unwrap();
    let leaf = Entry::new(frame, USER_RO).0;
    for (index, word) in [guest.leaf(1), leaf, guest.leaf(2), leaf]
        .into_iter()
        .enumerate()
    {
        guest.set_frame_word(page, index, word);
    }
    let done_at = guest.va(0) + 256;
    let args = [guest.va(0), 2, done_at, u64::from(SELF), 0];
    // An interrupt between the elements reuses the buffer.
    guest.set_interloper(Some(Box::new(move |machine, site| {
        if site.index == 1 {
            machine.set_frame_word(page, 2, 7);
        }
    })));
    let result = guest.hypercall(who, number::MMU_UPDATE, args);
    guest.set_interloper(None);
    assert_eq!(result, Errno::ENOSYS.negative());
    assert_eq!(guest.read_u64(who, done_at).map(|word| word as u32), Ok(1));
    assert!(guest.entry_at(guest.leaf(1)).is_present());
    assert!(!guest.entry_at(guest.leaf(2)).is_present());
}

#[test]
fn i24_update_va_mapping_needs_a_leaf_of_4_kib() {
    let mut guest = Guest::domu();
    let (who, frame) = (guest.who, guest.page());
    let leaf = Entry::new(frame, USER_RO).0;
    let unmapped = 0x1234_5000;
    for va in [unmapped, 1 << 47, XEN_START, XEN_END - 4096] {
        let result = guest.update_va_mapping(who, va, leaf, uvmf::NONE);
        assert_eq!(result, Err(Errno::EINVAL), "{va:#x}");
    }
    let va = guest.va(0);
    guest.update_va_mapping(who, va, leaf, uvmf::NONE).unwrap();
    assert_eq!(guest.translate(who, va).map(|walk| walk.mfn), Some(frame));
    let other = guest.update_va_mapping_other(who, va, leaf, 0, 55);
    assert_eq!(other, Err(Errno::ESRCH));
}

#[test]
fn i24_a_bad_bitmap_fails_after_the_change() {
    let mut guest = Guest::domu();
    let (who, va, frame) = (guest.who, guest.va(0), guest.page());
    let bitmap = 0x1234_5000;
    let leaf = Entry::new(frame, USER_RO).0;
    let result = guest.update_va_mapping(who, va, leaf, bitmap | uvmf::TLB_FLUSH);
    assert_eq!(result, Err(Errno::EFAULT));
    assert_eq!(guest.entry_at(guest.leaf(0)).mfn(), frame);
}

#[test]
fn i25_without_a_flush_a_stale_translation_stays() {
    let mut guest = Guest::with_two_vcpus();
    let (who, other, va, frame) = (guest.who, guest.other(), guest.va(0), guest.page());
    guest.map(0, frame, KERNEL_RW).unwrap();
    guest.write_u64(who, va, 1).unwrap();
    guest.write_u64(other, va, 2).unwrap();
    guest.update(guest.leaf(0), 0).unwrap();
    assert_eq!(guest.read_u64(other, va), Ok(2));
    assert_eq!(guest.cached_users(frame), [(who, va), (other, va)]);
    assert_eq!(guest.stale(other).len(), 1);

    guest.ext(MmuExtOp::InvlpgLocal(va)).unwrap();
    assert_eq!(guest.cached_users(frame), [(other, va)]);
    guest
        .ext(MmuExtOp::TlbFlushMulti(Some(vec![1 << 1])))
        .unwrap();
    assert_eq!(guest.cached_users(frame), []);
    assert!(guest.read_u64(other, va).is_err());
    assert!(guest.stale(other).is_empty());
}

#[test]
fn i25_each_flush_reaches_whom_it_names() {
    let mut guest = Guest::with_two_vcpus();
    let (who, other, frame) = (guest.who, guest.other(), guest.page());
    guest.map(0, frame, KERNEL_RW).unwrap();
    guest.map(1, frame, KERNEL_RW).unwrap();
    let (page, rest) = (guest.va(0), guest.va(1));
    let both = Some(vec![3]);
    let cases = [
        (MmuExtOp::TlbFlushLocal, [false, false], [true, true]),
        (MmuExtOp::TlbFlushAll, [false, false], [false, false]),
        (
            MmuExtOp::TlbFlushMulti(both.clone()),
            [false, false],
            [false, false],
        ),
        (MmuExtOp::InvlpgLocal(page), [false, true], [true, true]),
        (MmuExtOp::InvlpgAll(page), [false, true], [false, true]),
        (
            MmuExtOp::InvlpgMulti(page, both),
            [false, true],
            [false, true],
        ),
        (MmuExtOp::InvlpgAll(1 << 60), [true, true], [true, true]),
    ];
    for (op, mine, others) in cases {
        for (vcpu, va) in [(who, page), (who, rest), (other, page), (other, rest)] {
            guest.read_u64(vcpu, va).unwrap();
        }
        guest.ext(op.clone()).unwrap();
        let cached = |vcpu| [page, rest].map(|va| guest.cached(vcpu, va).is_some());
        assert_eq!((cached(who), cached(other)), (mine, others), "{op:?}");
    }
    let unreadable = MmuExtOp::TlbFlushMulti(None);
    assert_eq!(guest.ext(unreadable), Err(Errno::EINVAL));
}

#[test]
fn i25_flags_of_update_va_mapping_flush() {
    let mut guest = Guest::with_two_vcpus();
    let (who, other, va, frame) = (guest.who, guest.other(), guest.va(0), guest.page());
    for (flags, mine, others) in [
        (uvmf::NONE, true, true),
        (uvmf::INVLPG, false, true),
        (uvmf::INVLPG | uvmf::ALL, false, false),
        (uvmf::TLB_FLUSH, false, true),
        (uvmf::TLB_FLUSH | uvmf::ALL, false, false),
    ] {
        guest.map(0, frame, KERNEL_RW).unwrap();
        guest.read_u64(who, va).unwrap();
        guest.read_u64(other, va).unwrap();
        guest.update_va_mapping(who, va, 0, flags).unwrap();
        let cached = [who, other].map(|vcpu| guest.cached(vcpu, va).is_some());
        assert_eq!(cached, [mine, others], "flags {flags}");
        guest.ext(MmuExtOp::TlbFlushAll).unwrap();
    }
}

#[test]
fn i23_an_interloper_may_make_hypercalls_of_its_own() {
    let mut guest = Guest::with_two_vcpus();
    let (who, other, frame) = (guest.who, guest.other(), guest.page());
    let calls = Rc::new(Cell::new(0));
    let seen = calls.clone();
    guest.set_interloper(Some(Box::new(move |machine, _| {
        seen.set(seen.get() + 1);
        machine.mmuext_one(other, MmuExtOp::TlbFlushLocal).unwrap();
    })));
    let updates = [MmuUpdate::machphys(frame, 1), MmuUpdate::machphys(frame, 2)];
    assert_eq!(guest.mmu_update(who, &updates, SELF).done, 2);
    guest.set_interloper(None);
    assert_eq!(calls.get(), 2);
    assert_eq!(guest.stats().world_entries, 3);
}
