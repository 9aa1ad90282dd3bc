// SPDX-License-Identifier: GPL-2.0-only

//! I17 to I19 and I21 to I24: the protocol of updates.

use crate::testing::*;
use crate::*;
use std::cell::Cell;
use std::rc::Rc;

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
    guest.set_frame_word(path.root(), 256, Entry::new(Mfn(3), TABLE).0);
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
    // Continue after the element that failed.
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
