// SPDX-License-Identifier: GPL-2.0-only

//! I20 and I25: bits that hardware sets in tables, and translations that it caches.

use crate::entry::*;
use crate::testing::*;
use crate::*;

/// A guest whose second vCPU runs on a writable user page, and the address of its leaf.
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

    // The guest reads the bit through a mapping of the table, then clears the entry.
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
    guest.set_hardware_activity(HardwareActivity::ALL);
    for _ in 0..10 {
        guest.mmuext_one(who, MmuExtOp::TlbFlushLocal).unwrap();
    }
    assert!(guest.entry_at(at).has(ACCESSED | DIRTY));
    assert_eq!(guest.nr_unseen_dirty(), 1);
    let cached = guest.cached(other, 0).unwrap();
    assert!(cached.writable && cached.dirty);
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
