// SPDX-License-Identifier: GPL-2.0-only

//! I13, I32 and I38 to I42: save, restore and migration.

use crate::entry::FRAME;
use crate::testing::*;
use crate::*;

/// A guest that has published its list, and can be saved.
fn savable() -> Guest {
    let mut guest = Guest::domu();
    publish(&mut guest);
    assert_eq!(guest.save_check(guest.domain), []);
    guest
}

/// Publishes the list as it is mapped.
fn publish(guest: &mut Guest) {
    let domain = guest.domain;
    let start = guest.start_of_day(domain).clone();
    let root = guest.root(guest.who).unwrap();
    let mut set = |index, word| guest.set_shared_word(domain, index, word);
    set(shared_info::MAX_PFN, start.nr_pages);
    set(shared_info::P2M_VADDR, start.mfn_list);
    set(shared_info::P2M_CR3, root.maddr());
}

fn save_errors(guest: &Guest) -> Vec<SaveError> {
    guest.save_check(guest.domain)
}

/// Returns the frame and index of the list's word for `pfn`.
fn list_word(guest: &Guest, pfn: u64) -> (Mfn, usize) {
    let va = guest.start_of_day(guest.domain).mfn_list + 8 * pfn;
    let page = guest.translate(guest.who, va).unwrap().mfn;
    (page, (pfn % 512) as usize)
}

#[test]
fn i13_an_absent_entry_with_a_machine_frame_is_not_translated() {
    let mut guest = savable();
    let frame = guest.page();
    let at = guest.leaf(0);
    guest.update(at, Entry::new(frame, 0).0).unwrap();
    let found = SaveError::NotPresent {
        table: Mfn::of(at),
        index: (at % 4096 / 8) as usize,
    };
    assert_eq!(save_errors(&guest), [found]);
    // An inverted frame, as L1TF requires it, is not taken for a machine frame.
    guest.update(at, !Entry::new(frame, 0).0 & FRAME).unwrap();
    assert_eq!(save_errors(&guest), []);
}

#[test]
fn i32_list_and_frame_table_agree() {
    let mut guest = savable();
    let (page, index) = list_word(&guest, 300);
    let (who, own) = (guest.who, Mfn(guest.frame_word(page, index)));
    guest
        .mmu_update_one(who, MmuUpdate::machphys(own, 301))
        .unwrap();
    let bad = SaveError::BadFrame { pfn: 300, mfn: own };
    assert!(save_errors(&guest).contains(&bad));
    guest
        .mmu_update_one(who, MmuUpdate::machphys(own, 300))
        .unwrap();
    assert_eq!(save_errors(&guest), []);

    // The list has no word for the page.
    guest.set_frame_word(page, index, u64::MAX);
    let bad = SaveError::BadFrame { pfn: 300, mfn: own };
    assert_eq!(save_errors(&guest), [bad]);
    // A frame of another domain.
    let other = guest.add_domu();
    let foreign = guest.start_of_day(other).frames[9];
    guest.set_frame_word(page, index, foreign.0);
    let bad = SaveError::BadFrame {
        pfn: 300,
        mfn: foreign,
    };
    assert!(save_errors(&guest).contains(&bad));
}

#[test]
fn i32_machphys_is_for_own_frames() {
    let mut guest = Guest::domu();
    let other = guest.add_domu();
    let (who, foreign) = (guest.who, guest.start_of_day(other).frames[9]);
    for mfn in [foreign, Mfn(5), Mfn(1 << 40)] {
        let update = MmuUpdate::machphys(mfn, 1);
        assert_eq!(guest.mmu_update_one(who, update), Err(Errno::EINVAL));
    }
}

#[test]
fn i38_the_list_is_where_it_is_said_to_be() {
    let mut guest = savable();
    let domain = guest.domain;
    let start = guest.start_of_day(domain).clone();
    let frame = guest.page();
    for (index, good, bad) in [
        (shared_info::MAX_PFN, start.nr_pages, vec![0, 1 << 20]),
        (
            shared_info::P2M_VADDR,
            start.mfn_list,
            vec![0x1000, 1 << 47, XEN_START, 8],
        ),
        (
            shared_info::P2M_CR3,
            start.root.maddr(),
            vec![frame.maddr(), 5 << 12],
        ),
    ] {
        for word in bad {
            guest.set_shared_word(domain, index, word);
            assert!(
                matches!(save_errors(&guest)[..], [SaveError::List(_)]),
                "{word:#x}"
            );
        }
        guest.set_shared_word(domain, index, good);
        assert_eq!(save_errors(&guest), []);
    }
}

#[test]
fn i38_large_entries_are_misread() {
    let mut guest = Guest::on(
        Config::new(400_000, 1),
        DomainConfig::dom0(262_144 + 512).compact(),
    );
    publish(&mut guest);
    assert!(matches!(save_errors(&guest)[..], [SaveError::List(_)]));
}

#[test]
fn i38_the_tree_is_used_without_a_root() {
    let mut guest = savable();
    let domain = guest.domain;
    let view = guest.read_list(domain).unwrap();
    let middle = guest.table(&[]);
    let top = guest.table(&[]);
    for (index, page) in view.pages.iter().enumerate() {
        guest.set_frame_word(middle, index, page.0);
    }
    guest.set_frame_word(top, 0, middle.0);
    guest.set_shared_word(domain, shared_info::P2M_CR3, 0);
    guest.set_shared_word(domain, shared_info::FRAME_LIST_LIST, top.0);
    assert_eq!(guest.read_list(domain), Ok(view));
    assert_eq!(save_errors(&guest), []);
    guest.set_frame_word(middle, 1, 0);
    assert!(matches!(save_errors(&guest)[..], [SaveError::List(_)]));
}

#[test]
fn i39_the_list_moves_with_its_generation() {
    let mut guest = savable();
    let domain = guest.domain;
    let generation = shared_info::P2M_GENERATION;
    let mut watch = ListWatch::new(domain);
    let mut look = |guest: &Guest, count| (0..count).try_for_each(|_| watch.look(guest));
    look(&guest, 3).unwrap();

    let va = guest.start_of_day(domain).mfn_list;
    let old = guest.translate(guest.who, va).unwrap();
    let copy = guest.page();
    for index in 0..512 {
        let word = guest.frame_word(old.mfn, index);
        guest.set_frame_word(copy, index, word);
    }
    let leaf = (old.leaf.0 & !FRAME) | copy.maddr();
    let at = old.table.word(old.index);
    guest.set_shared_word(domain, generation, 1);
    guest.update(at, leaf).unwrap();
    look(&guest, 1).unwrap();
    assert_eq!(save_errors(&guest), [SaveError::Generation]);
    guest.set_shared_word(domain, generation, 2);
    look(&guest, 3).unwrap();

    // The old leaf again, without a new generation.
    guest.update(at, old.leaf.0).unwrap();
    assert_eq!(look(&guest, 1), Err(SaveError::Generation));
}

#[test]
fn i39_the_length_changes_with_the_generation() {
    let mut guest = savable();
    let domain = guest.domain;
    let length = guest.start_of_day(domain).nr_pages;
    let mut watch = ListWatch::new(domain);
    watch.look(&guest).unwrap();
    for (generation, max_pfn, is_good) in [
        (1, length, true),
        (1, length - 1, true),
        (2, length - 1, true),
        (2, length, false),
    ] {
        guest.set_shared_word(domain, shared_info::P2M_GENERATION, generation);
        guest.set_shared_word(domain, shared_info::MAX_PFN, max_pfn);
        assert_eq!(watch.look(&guest).is_ok(), is_good, "{generation}");
    }
}

#[test]
fn i38_the_list_is_mapped_in_the_midst_of_a_change_as_well() {
    let mut guest = savable();
    let domain = guest.domain;
    let mut watch = ListWatch::new(domain);
    watch.look(&guest).unwrap();
    guest.set_shared_word(domain, shared_info::P2M_GENERATION, 1);
    let start = guest.start_of_day(domain).mfn_list;
    guest.set_shared_word(domain, shared_info::P2M_VADDR, start + 1);
    assert!(matches!(watch.look(&guest), Err(SaveError::List(_))));
}

#[test]
fn i40_a_table_that_is_plain_memory_is_saved_with_stale_frames() {
    let mut guest = savable();
    let frame = guest.page();
    let table = guest.table(&[(1, Entry::new(frame, USER_RW))]);
    assert_eq!(save_errors(&guest), [SaveError::RawTable(table)]);
    guest.pin(Level::L1, table).unwrap();
    assert_eq!(save_errors(&guest), []);
}

#[test]
fn i41_no_entry_maps_what_cannot_be_migrated() {
    let mut guest = savable();
    let other = guest.add_domu();
    let at = guest.leaf(0);
    let shared = guest.shared_info(guest.domain);
    guest.map(0, shared, KERNEL_RW).unwrap();
    let found = |guest: &Guest| match save_errors(guest)[..] {
        [SaveError::BadEntry { table, index, .. }] => table.word(index) == at,
        _ => false,
    };
    assert!(found(&guest));
    guest.update(at, 0).unwrap();
    assert_eq!(save_errors(&guest), []);

    let (who, to) = (guest.who, guest.domain);
    let mfn = guest.start_of_day(other).frames[500];
    let readonly = true;
    guest.grant(other, 0, Grant { to, mfn, readonly });
    let map = GrantMap {
        host_addr: guest.va(0),
        flags: gntmap::HOST_MAP | gntmap::READONLY,
        reference: 0,
        domain: other,
    };
    let granted = guest.grant_map(who, &[map])[0].unwrap();
    assert!(found(&guest));
    let unmap = GrantUnmap {
        host_addr: map.host_addr,
        dev_bus_addr: 0,
        handle: granted.handle,
    };
    assert_eq!(guest.grant_unmap(who, &[unmap]), [Ok(())]);
    assert_eq!(save_errors(&guest), []);
}

#[test]
fn i41_io_leaves_cannot_be_migrated() {
    let mut config = DomainConfig::domu(600).compact();
    config.io_rights.push(0xf_0000..0xf_0001);
    let mut guest = Guest::new(config);
    publish(&mut guest);
    guest.map(0, Mfn(0xf_0000), KERNEL_RW).unwrap();
    assert!(matches!(
        save_errors(&guest)[..],
        [SaveError::BadEntry { .. }]
    ));
}

#[test]
fn i42_what_was_published_is_stale_after_a_restore() {
    let mut guest = savable();
    let (domain, who) = (guest.domain, guest.who);
    let frame = guest.page();
    let path = guest.path(&[(0, Entry::new(frame, USER_RW))]);
    guest.pin(Level::L4, path.root()).unwrap();
    guest.ext(MmuExtOp::NewUserBaseptr(path.root())).unwrap();
    guest.user_write(who, 0, 42).unwrap();
    let pfn = |machine: &Machine, mfn| machine.m2p(mfn).unwrap();
    let (root_pfn, page_pfn) = (pfn(&guest, path.root()), pfn(&guest, frame));
    let before = guest.start_of_day(domain).frames.clone();

    guest.migrate(domain).unwrap();
    guest.assert_sound();
    assert_eq!(guest.user_read(who, 0), Ok(42));
    let root = guest.user_root(who).unwrap();
    assert_eq!(pfn(&guest, root), root_pfn);
    assert!(guest.frame(root).is_pinned());
    let page = guest.translate_from(root, 0).unwrap().mfn;
    assert_eq!(pfn(&guest, page), page_pfn);
    let after = guest.start_of_day(domain).frames.clone();
    assert!(before.iter().zip(&after).all(|(old, new)| old != new));

    assert!(matches!(save_errors(&guest)[..], [SaveError::List(_)]));
    publish(&mut guest);
    assert_eq!(save_errors(&guest), []);
    guest.migrate(domain).unwrap();
    assert_eq!(guest.user_read(who, 0), Ok(42));
}

#[test]
fn i42_a_domain_that_cannot_be_saved_is_not_migrated() {
    let mut guest = savable();
    let shared = guest.shared_info(guest.domain);
    guest.map(0, shared, KERNEL_RW).unwrap();
    let domain = guest.domain;
    assert!(guest.migrate(domain).is_err());
    assert_eq!(
        guest.start_of_day(domain).root,
        guest.root(guest.who).unwrap()
    );
}

#[test]
fn i41_a_large_page_cannot_be_migrated() {
    let config = DomainConfig::dom0(262_144 + 512).compact();
    let mut guest = Guest::on(Config::new(400_000, 1), config);
    publish(&mut guest);
    let domain = guest.domain;
    let start = guest.start_of_day(domain).clone();
    // The tree is published, since the linear list has the large page.
    let who = guest.who;
    let top = guest.table(&[]);
    for middle in 0..2 {
        let table = guest.table(&[]);
        guest.set_frame_word(top, middle, table.0);
        for index in (0..512).take_while(|index| middle * 512 + index < 513) {
            let va = start.mfn_list + 4096 * (middle * 512 + index) as u64;
            let page = guest.translate(who, va).unwrap().mfn;
            guest.set_frame_word(table, index, page.0);
        }
    }
    guest.set_shared_word(domain, shared_info::P2M_CR3, 0);
    guest.set_shared_word(domain, shared_info::FRAME_LIST_LIST, top.0);
    let table = guest.table_for(who, start.mfn_list, Level::L2).unwrap();
    let entry = guest.frame_word(table, 0);
    let index = 0;
    assert_eq!(
        save_errors(&guest),
        [SaveError::BadEntry {
            table,
            index,
            entry
        }]
    );
}
