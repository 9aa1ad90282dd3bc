// SPDX-License-Identifier: GPL-2.0-only

//! I15 and I16: plain stores to tables.

use crate::entry::*;
use crate::testing::*;
use crate::*;

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
fn i15_only_own_tables_in_use_take_stores() {
    let mut guest = Guest::dom0();
    let who = guest.who;
    let table = mapped_table(&mut guest, true);
    guest.unpin(table).unwrap();
    assert_eq!(guest.frame(table).page_type(), PageType::Table(Level::L1));
    let va = guest.va(0);
    assert!(guest.write_u64(who, va, ACCESSED).is_err());

    let other = guest.add_domu();
    let other_vcpu = other.vcpu(0);
    let virt_base = DomainConfig::domu(0).virt_base;
    let foreign = guest.table_for(other_vcpu, virt_base, Level::L1).unwrap();
    let update = MmuUpdate::normal(guest.leaf(1), Entry::new(foreign, USER_RO).0);
    assert_eq!(
        guest.mmu_update(who, &[update], other.0.into()).result,
        Ok(())
    );
    let va = guest.va(1);
    assert!(guest.write_u64(who, va + 8 * 511, ACCESSED).is_err());
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
