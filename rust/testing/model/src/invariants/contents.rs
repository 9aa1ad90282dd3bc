// SPDX-License-Identifier: GPL-2.0-only

//! I7 to I14: contents of entries.

use crate::entry::*;
use crate::testing::*;
use crate::*;

#[test]
fn i07_upper_entries_with_forbidden_bits_are_einval() {
    let mut guest = Guest::dom0();
    let path = guest.path(&[]);
    guest.pin(Level::L4, path.root()).unwrap();
    for (upper, &table) in path.tables[..3].iter().enumerate() {
        let at = table.word(0);
        let good = guest.entry_at(at).0;
        for bit in [PWT, PCD, PSE, GLOBAL] {
            assert_eq!(
                guest.update(at, good | bit),
                Err(Errno::EINVAL),
                "level {}",
                4 - upper
            );
            assert_eq!(guest.entry_at(at).0, good);
            let fresh = guest.table(&[(3, Entry(good | bit))]);
            let level = Level::DOWN[upper];
            assert_eq!(guest.pin(level, fresh), Err(Errno::EINVAL));
        }
        guest.update(at, good | AVAIL | AVAIL_HIGH | NX).unwrap();
    }
}

#[test]
fn i08_cache_bits_need_io_rights() {
    let mut domu = Guest::domu();
    let frame = domu.page();
    for bit in [PWT, PCD, PSE] {
        assert_eq!(domu.map(0, frame, KERNEL_RW | bit), Err(Errno::EINVAL));
    }
    domu.map(0, frame, KERNEL_RW | GLOBAL).unwrap();

    let mut dom0 = Guest::dom0();
    let frame = dom0.page();
    for bit in [PWT, PCD, PSE] {
        dom0.map(0, frame, KERNEL_RW | bit).unwrap();
    }
    let shared = dom0.shared_info(dom0.domain);
    for bit in [PWT, PCD, PSE] {
        assert_eq!(dom0.map(0, shared, KERNEL_RW | bit), Err(Errno::EACCES));
    }
    dom0.map(0, shared, KERNEL_RW).unwrap();
}

#[test]
fn i08_a_domain_with_a_device_has_io_rights() {
    let mut config = DomainConfig::domu(600).compact();
    config.io_rights.push(0xf_0000..0xf_0001);
    let mut guest = Guest::new(config);
    guest.map(0, Mfn(0xf_0000), KERNEL_RW | PCD | PWT).unwrap();
    assert_eq!(guest.map(1, Mfn(0xf_0001), KERNEL_RW), Err(Errno::EPERM));
}

#[test]
fn i09_no_execute_needs_a_cpu_that_has_it() {
    for has_nx in [false, true] {
        let mut machine = Config::new(8192, 1);
        machine.has_nx = has_nx;
        let mut guest = Guest::on(machine, DomainConfig::domu(600).compact());
        let frame = guest.page();
        let expected = if has_nx { Ok(()) } else { Err(Errno::EINVAL) };
        assert_eq!(guest.map(0, frame, KERNEL_RW | NX), expected);
        // Bit 62 is refused by a debug build only.
        guest.map(1, frame, KERNEL_RW | (1 << 62)).unwrap();
    }
}

/// A dom0 whose list has a large entry, and the table that holds it.
fn guest_with_large_list() -> (Guest, Mfn) {
    let config = DomainConfig::dom0(262_144 + 512).compact();
    let guest = Guest::on(Config::new(400_000, 1), config);
    let va = guest.start_of_day(guest.domain).mfn_list;
    let table = guest.table_for(guest.who, va, Level::L2).unwrap();
    assert!(Entry(guest.frame_word(table, 0)).is_large(Level::L2));
    (guest, table)
}

#[test]
fn i10_large_pages_are_the_builders_only() {
    let (mut guest, table) = guest_with_large_list();
    let who = guest.who;
    let va = guest.start_of_day(guest.domain).mfn_list;
    let large = Entry(guest.frame_word(table, 0));
    assert_eq!(guest.update_va_mapping(who, va, 0, 0), Err(Errno::EINVAL));
    let at = table.word(0);
    assert_eq!(guest.update(at, large.0 | AVAIL), Err(Errno::EINVAL));
    assert_eq!(guest.update(table.word(9), large.0), Err(Errno::EINVAL));
    assert_eq!(guest.ext(MmuExtOp::MarkSuper), Err(Errno::EOPNOTSUPP));

    assert_eq!(guest.frame(large.mfn()).count(), 2);
    guest.update(at, 0).unwrap();
    for offset in [0, 511] {
        let frame = guest.frame(Mfn(large.mfn().0 + offset));
        assert_eq!((frame.count(), frame.type_count()), (1, 0));
    }
}

#[test]
fn i10_a_table_with_a_large_page_is_never_promoted_again() {
    let (mut guest, table) = guest_with_large_list();
    let va = guest.start_of_day(guest.domain).mfn_list;
    let l3 = guest.table_for(guest.who, va, Level::L3).unwrap();
    guest.update(l3.word(0), 0).unwrap();
    assert_eq!(guest.frame(table).type_count(), 0);
    assert_eq!(guest.pin(Level::L2, table), Err(Errno::EINVAL));
}

#[test]
fn i11_unsafe_absent_entries_lead_to_shadow_paging() {
    let unsafe_values = [0x12345 << 12, (0x12345 << 12) | ACCESSED, 1 << 44];
    let safe_values = [0, ACCESSED | DIRTY, FRAME & !(0x12345 << 12), 3 << 44];
    for value in safe_values {
        let mut guest = Guest::domu();
        guest.update(guest.leaf(0), value).unwrap();
        assert!(!guest.is_shadowed(guest.domain), "{value:#x}");
    }
    for value in unsafe_values {
        let mut guest = Guest::domu();
        guest.update(guest.leaf(0), value).unwrap();
        assert!(guest.is_shadowed(guest.domain), "{value:#x}");
        assert_eq!(guest.entry_at(guest.leaf(0)).0, value);
        // The check is off by default for a dom0.
        let mut guest = Guest::dom0();
        guest.update(guest.leaf(0), value).unwrap();
        assert!(!guest.is_shadowed(guest.domain));
    }
}

#[test]
fn i11_absent_entries_are_looked_at_by_promotion_and_large_ones_above_level_1() {
    let mut guest = Guest::domu();
    let table = guest.table(&[(5, Entry(PSE))]);
    guest.pin(Level::L1, table).unwrap();
    assert!(!guest.is_shadowed(guest.domain));
    let table = guest.table(&[(5, Entry(PSE))]);
    guest.pin(Level::L2, table).unwrap();
    assert!(guest.is_shadowed(guest.domain));
}

#[test]
fn i11_without_shadow_paging_the_domain_dies() {
    let mut machine = Config::new(8192, 1);
    machine.has_shadow_paging = false;
    let mut guest = Guest::on(machine, DomainConfig::domu(600).compact());
    let (who, va) = (guest.who, guest.va(0));
    guest.update(guest.leaf(0), 0x12345 << 12).unwrap();
    assert_eq!(guest.crash(guest.domain), Some(Crash::L1tf));
    let fault = guest.read_u64(who, va).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Crashed(Crash::L1tf));
}

#[test]
fn i12_every_way_to_a_table_adjusts_flags_alike() {
    let user = PRESENT | USER | GLOBAL;
    let kernel = PRESENT | USER | GUEST_KERNEL;
    let mut guest = Guest::domu().with_emulation();
    let (who, frame) = (guest.who, guest.page());
    let table = guest.table(&[
        (0, Entry::new(frame, PRESENT | USER)),
        (1, Entry::new(frame, PRESENT)),
    ]);
    guest.map(0, table, KERNEL_RO).unwrap();
    guest.pin(Level::L1, table).unwrap();
    let va = guest.va(0);
    guest
        .update(table.word(2), Entry::new(frame, PRESENT | USER).0)
        .unwrap();
    guest
        .update(table.word(3), Entry::new(frame, PRESENT).0)
        .unwrap();
    let (user_leaf, kernel_leaf) = (
        Entry::new(frame, PRESENT | USER).0,
        Entry::new(frame, PRESENT).0,
    );
    guest.write_u64(who, va + 32, user_leaf).unwrap();
    guest.write_u64(who, va + 40, kernel_leaf).unwrap();
    let at = guest.va(1);
    guest.update_va_mapping(who, at, kernel_leaf, 0).unwrap();
    for (index, flags) in [user, kernel].into_iter().cycle().take(6).enumerate() {
        let entry = guest.frame_word(table, index);
        assert_eq!(entry, Entry::new(frame, flags).0, "entry {index}");
        guest.update(table.word(index), entry).unwrap();
        assert_eq!(guest.frame_word(table, index), entry);
    }
    assert_eq!(guest.entry_at(guest.leaf(1)), Entry::new(frame, kernel));

    let path = guest.path(&[]);
    let bare = PRESENT | RW;
    for pair in path.tables.windows(2) {
        guest.set_frame_word(pair[0], 0, Entry::new(pair[1], bare).0);
    }
    guest.pin(Level::L4, path.root()).unwrap();
    let flags = |table| guest.frame_word(table, 0) & !FRAME;
    assert_eq!(flags(path.tables[0]), bare | USER | ACCESSED);
    assert_eq!(flags(path.tables[1]), bare | USER);
    assert_eq!(flags(path.tables[2]), bare | USER);
}

/// A guest with a grant of another domain's frame mapped at leaf 0.
fn guest_with_grant() -> (Guest, Mfn, Granted) {
    let mut guest = Guest::domu();
    let other = guest.add_domu();
    let (who, at) = (guest.who, guest.leaf(0));
    let mfn = guest.start_of_day(other).frames[500];
    let to = guest.domain;
    let grant = Grant {
        to,
        mfn,
        readonly: false,
    };
    guest.grant(other, 8, grant);
    let map = GrantMap {
        host_addr: at,
        flags: gntmap::HOST_MAP | gntmap::CONTAINS_PTE | gntmap::APPLICATION_MAP,
        reference: 8,
        domain: other,
    };
    let granted = guest.grant_map(who, &[map])[0].unwrap();
    (guest, mfn, granted)
}

#[test]
fn i14_a_granted_leaf_changes_in_cheap_bits_only() {
    let (mut guest, mfn, granted) = guest_with_grant();
    let (who, at) = (guest.who, guest.leaf(0));
    let leaf = guest.entry_at(at);
    assert_eq!(leaf.mfn(), mfn);
    assert!(leaf.has(PRESENT | RW | USER | NX | GLOBAL));
    guest.update(at, leaf.0 & !ACCESSED).unwrap();
    assert_eq!(guest.update(at, leaf.0 & !RW), Err(Errno::EBUSY));
    assert_eq!(guest.map(1, mfn, leaf.0 & !FRAME), Err(Errno::EBUSY));

    let unmap = GrantUnmap {
        host_addr: at,
        dev_bus_addr: 0,
        handle: granted.handle,
    };
    assert_eq!(guest.grant_unmap(who, &[unmap]), [Ok(())]);
    assert_eq!(guest.entry_at(at), Entry(0));
    assert_eq!(guest.frame(mfn).count(), 1);
    assert_eq!(
        guest.grant_unmap(who, &[unmap]),
        [Err(GrantError::BadHandle)]
    );
}

#[test]
fn i14_a_table_with_a_granted_leaf_is_not_promoted_again() {
    let mut guest = Guest::domu();
    let other = guest.add_domu();
    let mfn = guest.start_of_day(other).frames[500];
    let table = guest.table(&[(0, Entry::new(mfn, USER_RW))]);
    assert_eq!(guest.pin(Level::L1, table), Err(Errno::EBUSY));
}

#[test]
fn i14_a_granted_leaf_that_was_cleared_cannot_be_unmapped() {
    let (mut guest, mfn, granted) = guest_with_grant();
    let (who, at) = (guest.who, guest.leaf(0));
    guest.update(at, 0).unwrap();
    let unmap = GrantUnmap {
        host_addr: at,
        dev_bus_addr: 0,
        handle: granted.handle,
    };
    assert_eq!(guest.grant_unmap(who, &[unmap]), [Err(GrantError::General)]);
    assert_eq!(guest.frame(mfn).count(), 1);
}

#[test]
fn i14_a_leaf_is_unmapped_with_the_rights_that_it_was_mapped_with() {
    let (mut guest, _, granted) = guest_with_grant();
    let (who, at) = (guest.who, guest.leaf(0));
    guest.update(at, 0).unwrap();
    let readonly = GrantMap {
        host_addr: at,
        flags: gntmap::HOST_MAP | gntmap::CONTAINS_PTE | gntmap::READONLY,
        reference: 8,
        domain: DomainId(1),
    };
    let again = guest.grant_map(who, &[readonly])[0].unwrap();
    let unmap = |handle| GrantUnmap {
        host_addr: at,
        dev_bus_addr: 0,
        handle,
    };
    let results = guest.grant_unmap(who, &[unmap(granted.handle), unmap(again.handle)]);
    assert_eq!(results, [Err(GrantError::General), Ok(())]);
}

#[test]
fn i14_grants_are_mapped_by_whom_they_are_for_and_as_they_allow() {
    let mut guest = Guest::domu();
    let other = guest.add_domu();
    let (who, to) = (guest.who, guest.domain);
    let mfn = guest.start_of_day(other).frames[500];
    let readonly = true;
    guest.grant(other, 1, Grant { to, mfn, readonly });
    let to = other;
    guest.grant(other, 2, Grant { to, mfn, readonly });
    let host_addr = guest.va(0);
    let map = |reference, flags, domain| GrantMap {
        host_addr,
        flags,
        reference,
        domain,
    };
    let flags = gntmap::HOST_MAP | gntmap::READONLY;
    let wrong = [
        (map(1, gntmap::HOST_MAP, other), GrantError::General),
        (map(1, 0, other), GrantError::BadReference),
        (map(2, flags, other), GrantError::BadReference),
        (map(3, flags, other), GrantError::BadReference),
        (map(1, flags, DomainId(9)), GrantError::BadDomain),
    ];
    for (map, error) in wrong {
        assert_eq!(guest.grant_map(who, &[map]), [Err(error)]);
    }
    let device = map(1, flags | gntmap::DEVICE_MAP, other);
    let granted = guest.grant_map(who, &[device])[0].unwrap();
    assert_eq!(granted.dev_bus_addr, mfn.maddr());
    assert_eq!(guest.frame(mfn).count(), 3);
    guest.end_grant(other, 1);
    let unmap = GrantUnmap {
        host_addr,
        dev_bus_addr: granted.dev_bus_addr,
        handle: granted.handle,
    };
    assert_eq!(guest.grant_unmap(who, &[unmap]), [Ok(())]);
    assert_eq!(guest.frame(mfn).count(), 1);
}
