// SPDX-License-Identifier: GPL-2.0-only

//! I35 to I37: start of day.

use crate::testing::*;
use crate::*;

#[test]
fn i35_initial_tables_are_read_only_in_every_new_mapping() {
    for mut guest in [Guest::dom0(), Guest::domu()] {
        let start = guest.start_of_day(guest.domain).clone();
        let tables: Vec<Mfn> = start
            .frames
            .iter()
            .copied()
            .filter(|&mfn| guest.frame(mfn).table().is_some())
            .collect();
        let nr_list_pages = start.nr_pages.div_ceil(512);
        let expected = start.nr_pt_frames + start.nr_p2m_frames - nr_list_pages;
        assert_eq!(tables.len() as u64, expected);
        for table in tables {
            assert_eq!(guest.map(0, table, KERNEL_RW), Err(Errno::EBUSY));
            guest.map(0, table, KERNEL_RO).unwrap();
        }
        // The pages of the list are ordinary memory.
        let who = guest.who;
        let list = guest.translate(who, start.mfn_list).unwrap().mfn;
        guest.map(0, list, KERNEL_RW).unwrap();
    }
}

#[test]
fn i36_the_end_of_the_last_list_page_is_garbage() {
    for mut guest in [Guest::dom0(), Guest::domu()] {
        let (who, start) = (guest.who, guest.start_of_day(guest.domain).clone());
        let tail = start.mfn_list + 8 * start.nr_pages;
        assert_ne!(tail % 4096, 0);
        assert_eq!(guest.read_u64(who, tail), Ok(POISON));
        assert!(guest
            .read_u64(who, tail - 8)
            .is_ok_and(|word| word != POISON));
    }
}

#[test]
fn i37_each_kind_of_domain_has_its_memory_map() {
    let mut dom0 = Guest::dom0();
    let who = dom0.who;
    assert_eq!(dom0.memory_map(who), Err(Errno::ENOSYS));
    let map = dom0.machine_memory_map(who, 128).unwrap();
    assert_eq!(dom0.machine_memory_map(who, 3), Err(Errno::EINVAL));
    assert!(map
        .windows(2)
        .all(|two| two[0].start + two[0].size <= two[1].start));
    let forbidden = map.iter().find(|range| range.start == 0xfee0_0000);
    assert_eq!(
        forbidden.map(|range| range.kind),
        Some(MemoryKind::Reserved)
    );

    let mut domu = Guest::domu();
    let who = domu.who;
    assert_eq!(domu.machine_memory_map(who, 128), Err(Errno::EPERM));
    let map = domu.memory_map(who).unwrap();
    assert_eq!((map.len(), map[0].start, map[0].size), (1, 0, 600 * 4096));
}

#[test]
fn i37_the_largest_frame_number_depends_on_the_kind() {
    let (mut dom0, mut domu) = (Guest::dom0(), Guest::domu());
    let (first, second) = (dom0.who, domu.who);
    let mapping = dom0.machphys_mapping(first).unwrap();
    assert_eq!((mapping.v_start, mapping.max_mfn), (XEN_START, 8191));
    assert_eq!(
        domu.machphys_mapping(second).unwrap().max_mfn,
        (1 << 35) - 1
    );
    // Beyond memory the table is not mapped.
    assert!(domu.read_u64(second, XEN_START + 8 * 8191).is_ok());
    assert!(domu.read_u64(second, XEN_START + 8 * 8192).is_err());
}

#[test]
fn assists_are_known_by_number() {
    let mut guest = Guest::domu();
    let who = guest.who;
    assert_eq!(guest.vm_assist(who, 2, 2), Err(Errno::ENOSYS));
    assert_eq!(guest.vm_assist(who, 0, 6), Err(Errno::EINVAL));
    guest
        .vm_assist(who, 0, Assists::WRITABLE_PAGETABLES)
        .unwrap();
    assert!(guest
        .assists(guest.domain)
        .has(Assists::WRITABLE_PAGETABLES));
    guest
        .vm_assist(who, 1, Assists::WRITABLE_PAGETABLES)
        .unwrap();
    assert_eq!(guest.assists(guest.domain), Assists::default());
}
