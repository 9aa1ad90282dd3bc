// SPDX-License-Identifier: GPL-2.0-only

//! I1 to I6: ownership and typing.

use crate::testing::*;
use crate::*;

#[test]
fn i01_writable_mapping_of_a_table_is_ebusy() {
    let mut guest = Guest::domu();
    let root = guest.start_of_day(guest.domain).root;
    let before = guest.entry_at(guest.leaf(0));
    assert_eq!(guest.map(0, root, KERNEL_RW), Err(Errno::EBUSY));
    assert_eq!(guest.entry_at(guest.leaf(0)), before);
    guest.map(0, root, KERNEL_RO).unwrap();
}

#[test]
fn i01_descriptors_are_protected_like_tables() {
    let mut guest = Guest::domu();
    let (who, gdt) = (guest.who, guest.table(&[]));
    guest.set_gdt(who, &[gdt], 16).unwrap();
    assert_eq!(guest.map(0, gdt, KERNEL_RW), Err(Errno::EBUSY));
    guest.map(0, gdt, KERNEL_RO).unwrap();
}

#[test]
fn i01_pinning_a_writable_frame_is_einval() {
    let mut guest = Guest::domu();
    let table = guest.table(&[]);
    guest.map(0, table, KERNEL_RW).unwrap();
    assert_eq!(guest.pin(Level::L1, table), Err(Errno::EINVAL));
    assert_eq!(guest.frame(table).count(), 2);

    guest.map(0, table, KERNEL_RO).unwrap();
    guest.pin(Level::L1, table).unwrap();
}

#[test]
fn i01_hooking_a_writable_frame_is_einval() {
    let mut guest = Guest::domu();
    let path = guest.path(&[]);
    let table = guest.table(&[]);
    guest.map(0, table, KERNEL_RW).unwrap();
    guest.pin(Level::L4, path.root()).unwrap();
    let at = path.tables[2].word(1);
    let link = Entry::new(table, TABLE).0;
    assert_eq!(guest.update(at, link), Err(Errno::EINVAL));
    assert_eq!(guest.entry_at(at), Entry(0));

    guest.map(0, table, KERNEL_RO).unwrap();
    guest.update(at, link).unwrap();
}

#[test]
fn i02_a_table_has_one_level() {
    let mut guest = Guest::domu();
    let table = guest.table(&[]);
    guest.pin(Level::L1, table).unwrap();
    for level in [Level::L2, Level::L3, Level::L4] {
        assert_eq!(guest.pin(level, table), Err(Errno::EINVAL));
    }
    let l3 = guest.table(&[]);
    guest.pin(Level::L3, l3).unwrap();
    let link = Entry::new(table, TABLE).0;
    assert_eq!(guest.update(l3.word(0), link), Err(Errno::EINVAL));
}

#[test]
fn i02_a_table_in_a_tree_is_wanted_at_its_level_only() {
    let mut guest = Guest::domu();
    let path = guest.path(&[]);
    // The table of level 1 is linked at level 2 as well.
    let l1 = path.leaves();
    guest.set_frame_word(path.tables[1], 1, Entry::new(l1, TABLE).0);
    assert_eq!(guest.pin(Level::L4, path.root()), Err(Errno::EINVAL));
    for table in path.tables {
        assert_eq!(
            (guest.frame(table).type_count(), guest.frame(table).count()),
            (0, 1)
        );
    }
}

#[test]
fn i03_foreign_tables_are_einval_and_foreign_leaves_ebusy() {
    let mut guest = Guest::domu();
    let other = guest.add_domu();
    let foreign = guest.start_of_day(other).frames[500];
    assert_eq!(guest.pin(Level::L1, foreign), Err(Errno::EINVAL));
    let l2 = guest.table(&[]);
    guest.pin(Level::L2, l2).unwrap();
    let link = Entry::new(foreign, TABLE).0;
    assert_eq!(guest.update(l2.word(0), link), Err(Errno::EINVAL));
    assert_eq!(guest.map(0, foreign, KERNEL_RW), Err(Errno::EBUSY));
    assert_eq!(guest.map(0, foreign, KERNEL_RO), Err(Errno::EBUSY));
    let table = guest.table(&[(7, Entry::new(foreign, USER_RO))]);
    assert_eq!(guest.pin(Level::L1, table), Err(Errno::EBUSY));
}

#[test]
fn i03_a_privileged_domain_maps_foreign_frames_by_their_owner() {
    let mut guest = Guest::dom0();
    let other = guest.add_domu();
    let foreign = guest.start_of_day(other).frames[500];
    let (who, at) = (guest.who, guest.leaf(0));
    let update = MmuUpdate::normal(at, Entry::new(foreign, USER_RW).0);
    assert_eq!(guest.mmu_update_one(who, update), Err(Errno::EBUSY));
    let owner = u32::from(other.0);
    assert_eq!(guest.mmu_update(who, &[update], owner).result, Ok(()));
    assert_eq!(guest.frame(foreign).count(), 2);

    // A call can name neither its own domain nor one that does not exist.
    for (id, error) in [(guest.domain.0, Errno::ESRCH), (77, Errno::ESRCH)] {
        let outcome = guest.mmu_update(who, &[update], id.into());
        assert_eq!((outcome.result, outcome.done), (Err(error), 0));
    }
    // An unprivileged domain may not map frames of another one.
    let update = MmuUpdate::normal(0, Entry::new(foreign, USER_RW).0);
    let outcome = guest.mmu_update(other.vcpu(0), &[update], 0);
    assert_eq!(outcome.result, Err(Errno::EPERM));
}

#[test]
fn i03_tables_of_another_domain_are_changed_by_a_privileged_one_only() {
    let mut guest = Guest::dom0();
    let other = guest.add_domu();
    let (root, frame) = (
        guest.start_of_day(other).root,
        guest.start_of_day(other).frames[500],
    );
    let tables = (u32::from(other.0) + 1) << 16;
    let update = MmuUpdate::normal(root.word(0), 0);
    let (dom0, domu) = (guest.who, other.vcpu(0));
    // At upper levels, one domain must own the frames and the tables.
    let outcome = guest.mmu_update(dom0, &[update], tables | SELF);
    assert_eq!(outcome.result, Err(Errno::EINVAL));
    let outcome = guest.mmu_update(dom0, &[update], tables | u32::from(other.0));
    assert_eq!(outcome.result, Ok(()));
    let machphys = MmuUpdate::machphys(frame, 1);
    let outcome = guest.mmu_update(dom0, &[machphys], tables | u32::from(other.0));
    assert_eq!(outcome.result, Err(Errno::EPERM));
    let outcome = guest.mmu_update(domu, &[update], (1 << 16) | SELF);
    assert_eq!(outcome.result, Err(Errno::EPERM));
    let outcome = guest.mmu_update(dom0, &[update], (78 << 16) | SELF);
    assert_eq!(outcome.result, Err(Errno::ESRCH));
}

#[test]
fn i04_shared_frames_are_never_tables() {
    let mut guest = Guest::domu();
    let shared = guest.shared_info(guest.domain);
    for level in Level::DOWN {
        assert_eq!(guest.pin(level, shared), Err(Errno::EINVAL));
    }
    guest.map(0, shared, KERNEL_RW).unwrap();
    guest.map(0, shared, KERNEL_RO).unwrap();
}

#[test]
fn i04_frames_that_another_domain_writes_to_are_never_tables() {
    let mut guest = Guest::dom0();
    let other = guest.add_domu();
    let frame = guest.start_of_day(other).frames[500];
    let (who, at) = (guest.who, guest.leaf(0));
    let update = MmuUpdate::normal(at, Entry::new(frame, USER_RW).0);
    assert_eq!(
        guest.mmu_update(who, &[update], other.0.into()).result,
        Ok(())
    );
    for index in 0..512 {
        guest.set_frame_word(frame, index, 0);
    }
    let pin = MmuExtOp::Pin(Level::L1, frame);
    assert_eq!(
        guest.mmuext_one(other.vcpu(0), pin.clone()),
        Err(Errno::EINVAL)
    );
    guest.update(at, 0).unwrap();
    guest.mmuext_one(other.vcpu(0), pin).unwrap();
}

#[test]
fn i05_io_memory_needs_permission() {
    let mut domu = Guest::domu();
    let beyond = Mfn(FRAMES_END + 5);
    assert_eq!(domu.map(0, beyond, KERNEL_RW), Err(Errno::EPERM));
    assert_eq!(domu.map(0, Mfn(100), KERNEL_RO), Err(Errno::EPERM));
    let no_frame = Mfn((1 << 40) - 1);
    assert_eq!(domu.map(0, no_frame, KERNEL_RW), Err(Errno::EINVAL));

    let mut dom0 = Guest::dom0();
    dom0.map(0, Mfn(0xf_0000), KERNEL_RW).unwrap();
    assert_eq!(dom0.map(0, Mfn(0xf_ee00), KERNEL_RW), Err(Errno::EPERM));
    assert_eq!(dom0.map(0, no_frame, KERNEL_RW), Err(Errno::EINVAL));
}

const FRAMES_END: u64 = 8192;

#[test]
fn i05_io_leaves_read_back_uncached_and_without_writes_where_xen_says_so() {
    use crate::entry::*;
    let mut machine = Config::new(FRAMES_END, 1);
    machine.read_only_io.push(0xf_0001..0xf_0002);
    let mut guest = Guest::on(machine, DomainConfig::dom0(600).compact());
    let cached = [0, PWT, PWT | PSE];
    let uncached = [PCD, PCD | PWT, PSE, PSE | PCD];
    for (number, &cache) in cached.iter().chain(&uncached).enumerate() {
        guest.map(number, Mfn(0xf_0000), KERNEL_RW | cache).unwrap();
        let expected = if cached.contains(&cache) {
            PWT | PCD
        } else {
            cache
        };
        assert_eq!(guest.entry_at(guest.leaf(number)).0 & CACHE, expected);
        assert!(guest.entry_at(guest.leaf(number)).is_writable());
    }
    guest.map(0, Mfn(0xf_0001), KERNEL_RW).unwrap();
    assert!(!guest.entry_at(guest.leaf(0)).is_writable());
    // The low megabyte is I/O memory too.
    guest.map(1, Mfn(0x50), KERNEL_RW).unwrap();
    assert_eq!(guest.entry_at(guest.leaf(1)).0 & CACHE, PWT | PCD);
}

#[test]
fn i06_memory_of_nobody_is_ebusy() {
    let mut machine = Config::new(FRAMES_END, 1);
    machine.unusable.push(3000..3001);
    let mut guest = Guest::on(machine, DomainConfig::dom0(600).compact());
    let of_xen = Mfn(guest.config().low_io);
    let free = (400..FRAMES_END).map(Mfn);
    let free = free
        .clone()
        .find(|&m| guest.frame(m).owner() == Owner::Nobody)
        .unwrap();
    for mfn in [of_xen, free, Mfn(3000)] {
        assert_eq!(guest.map(0, mfn, KERNEL_RO), Err(Errno::EBUSY), "{mfn:?}");
    }
}
