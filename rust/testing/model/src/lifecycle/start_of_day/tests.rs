// SPDX-License-Identifier: GPL-2.0-only

use crate::*;

fn machine(frames: u64) -> Machine {
    Machine::new(Config::new(frames, 1))
}

/// Checks what holds for any domain at start of day.
fn check_start(machine: &Machine, domain: DomainId) {
    machine.assert_sound();
    let start = machine.start_of_day(domain);
    let who = domain.vcpu(0);
    assert_eq!(start.frames.len() as u64, start.nr_pages);
    assert_eq!(machine.tot_pages(domain), start.nr_pages);
    assert_eq!(machine.root(who), Some(start.root));
    assert_eq!(machine.user_root(who), None);
    assert_eq!(machine.frame(start.root).type_count(), 2);
    let pinned: Vec<Mfn> = machine
        .frames_of(domain)
        .filter(|&mfn| machine.frame(mfn).is_pinned())
        .collect();
    assert_eq!(pinned, [start.root]);

    for (pfn, &mfn) in start.frames.iter().enumerate() {
        assert_eq!(machine.m2p(mfn), Some(pfn as u64));
        let va = start.mfn_list + 8 * pfn as u64;
        let page = machine.translate(who, va).expect("the list is mapped");
        assert!(page.writable);
        assert_eq!(machine.frame_word(page.mfn, pfn % 512), mfn.0);
    }
    assert!(start
        .frames
        .iter()
        .enumerate()
        .any(|(pfn, mfn)| pfn as u64 != mfn.0));

    let virt_base = DomainConfig::dom0(1).virt_base;
    for va in (virt_base..start.region_end).step_by(4096) {
        let walk = machine.translate(who, va).expect("the region is mapped");
        let pfn = (va - virt_base) / 4096;
        assert_eq!(walk.mfn, start.frames[pfn as usize]);
        let is_table = (start.pt_base..start.stack).contains(&va);
        assert_eq!(walk.writable, !is_table, "at {va:#x}");
        assert_eq!(machine.frame(walk.mfn).table().is_some(), is_table);
    }
}

const SIZES: [u64; 9] = [
    511, 512, 513, 1025, 4097, 131_071, 131_073, 262_143, 262_145,
];

#[test]
fn dom0_of_any_size() {
    for nr_pages in SIZES {
        let mut machine = machine(nr_pages * 2 + 3000);
        let config = DomainConfig::dom0(nr_pages).compact();
        let domain = machine.create_domain(config).unwrap();
        check_start(&machine, domain);
        let start = machine.start_of_day(domain);
        assert_eq!(start.first_p2m_pfn, 32);
        assert!(start.nr_p2m_frames >= nr_pages.div_ceil(512) + 2);
    }
}

#[test]
fn domu_of_any_size() {
    for nr_pages in SIZES {
        let mut machine = machine(nr_pages + 1000);
        let config = DomainConfig::domu(nr_pages).compact();
        let domain = machine.create_domain(config).unwrap();
        check_start(&machine, domain);
    }
}

/// Builds a domain alone on a machine.
fn build(frames: u64, config: DomainConfig) -> Result<(Machine, DomainId), BuildError> {
    let mut machine = machine(frames);
    let domain = machine.create_domain(config)?;
    check_start(&machine, domain);
    Ok((machine, domain))
}

#[test]
fn the_region_of_xen_ends_at_4_mib_with_room_left() {
    for config in [DomainConfig::dom0(3000), DomainConfig::domu(3000)] {
        let (machine, domain) = build(6000, config).unwrap();
        let start = machine.start_of_day(domain);
        assert_eq!(start.region_end % (4 << 20), 0);
        assert!(start.region_end - start.stack >= (512 << 10) + 4096);
        // Two tables of level 1 for 4 MiB, and one of each other level.
        assert_eq!(start.nr_pt_frames, 5);
    }
}

#[test]
fn a_domain_too_small_for_its_region_is_refused_and_leaves_nothing() {
    for config in [DomainConfig::dom0(1), DomainConfig::domu(1)] {
        let mut machine = machine(4000);
        let free = machine.nr_free();
        let mut config = config.compact();
        let needed = loop {
            match machine.create_domain(config.clone()) {
                Err(BuildError::TooSmall(pages)) => config.nr_pages = pages,
                Ok(_) => break config.nr_pages,
                Err(error) => panic!("{error}"),
            }
            assert_eq!(machine.nr_free(), free);
            config.max_pages = config.nr_pages;
        };
        assert!(needed < 64, "{needed} pages");
    }
    let config = DomainConfig::dom0(1000);
    assert_eq!(build(4000, config).err(), Some(BuildError::TooSmall(1024)));
    let config = DomainConfig::domu(5000).compact();
    assert_eq!(build(4000, config).err(), Some(BuildError::NoMemory));
}

#[test]
fn a_list_over_the_region_is_refused_for_dom0_and_ignored_for_others() {
    let mut config = DomainConfig::dom0(600).compact();
    config.list_va = Some(config.virt_base + 8 * 4096);
    assert_eq!(build(4000, config).err(), Some(BuildError::Overlap));
    let mut config = DomainConfig::domu(600).compact();
    config.list_va = Some(config.virt_base + (1 << 30));
    let (machine, domain) = build(4000, config.clone()).unwrap();
    let start = machine.start_of_day(domain);
    assert_eq!(start.mfn_list, config.virt_base + config.image_pages * 4096);
    assert_eq!((start.first_p2m_pfn, start.nr_p2m_frames), (0, 0));
}

#[test]
fn a_list_without_a_wish_is_in_the_region() {
    for mut config in [DomainConfig::dom0(1500), DomainConfig::domu(1500)] {
        config.list_va = None;
        let (machine, domain) = build(6000, config).unwrap();
        let start = machine.start_of_day(domain);
        assert!((start.mfn_list..start.start_info).contains(&(start.mfn_list + 8 * 1499)));
        assert_eq!(start.nr_p2m_frames, 0);
    }
}

#[test]
fn dom0_maps_its_list_with_entries_as_large_as_they_go() {
    // 2 MiB of list for 1 GiB of memory; a little more than two of these.
    let nr_pages = 2 * 262_144 + 700;
    let (machine, domain) = build(540_000, DomainConfig::dom0(nr_pages)).unwrap();
    let (who, start) = (domain.vcpu(0), machine.start_of_day(domain));
    let level = |offset| {
        machine
            .translate(who, start.mfn_list + offset)
            .unwrap()
            .level
    };
    assert_eq!(level(0), Level::L2);
    assert_eq!(level(2 << 20), Level::L2);
    assert_eq!(level(4 << 20), Level::L1);
    // Two blocks, two pages, and one table of each level.
    assert_eq!(start.nr_p2m_frames, 2 * 512 + 2 + 3);
    let (machine, domain) = build(540_000, DomainConfig::domu(nr_pages)).unwrap();
    let (who, start) = (domain.vcpu(0), machine.start_of_day(domain));
    let level = machine.translate(who, start.mfn_list).unwrap().level;
    assert_eq!(level, Level::L1);
    assert_eq!(start.nr_p2m_frames, 2 * 512 + 2 + 3 + 2);
}

#[test]
fn the_initrd_is_after_the_region_and_not_mapped() {
    for mut config in [DomainConfig::dom0(3000), DomainConfig::domu(3000)] {
        config.initrd_pages = 100;
        let (machine, domain) = build(6000, config.clone()).unwrap();
        let start = machine.start_of_day(domain);
        let region_pages = (start.region_end - config.virt_base) / 4096;
        assert_eq!(start.mod_start, region_pages);
        assert_eq!(start.mod_len, 100 * 4096);
        assert_eq!(start.first_p2m_pfn, region_pages + 100);
        assert_ne!(start.flags & sif::MOD_START_PFN, 0);
        let mfn = start.frames[start.mod_start as usize];
        assert_eq!(machine.reasons(mfn), [Reason::Allocation]);
    }
}

#[test]
fn start_info_has_the_layout_of_the_public_interface() {
    for (config, flags) in [
        (DomainConfig::dom0(600), sif::PRIVILEGED | sif::INITDOMAIN),
        (DomainConfig::domu(600), 0),
    ] {
        let (mut machine, domain) = build(4000, config.compact()).unwrap();
        let (who, start) = (domain.vcpu(0), machine.start_of_day(domain).clone());
        let mut word = |offset| machine.read_u64(who, start.start_info + offset).unwrap();
        assert_eq!(word(0).to_le_bytes(), *b"xen-3.0-");
        assert_eq!(word(8).to_le_bytes(), *b"x86_64\0\0");
        assert_eq!(
            [word(32), word(40), word(48)],
            [600, start.shared_info, flags]
        );
        assert_eq!([word(56), word(72)], [start.store_mfn, start.console_mfn]);
        assert_eq!([word(88), word(96)], [start.pt_base, start.nr_pt_frames]);
        assert_eq!([word(104), word(112)], [start.mfn_list, 0]);
        assert_eq!(
            [word(1152), word(1160)],
            [start.first_p2m_pfn, start.nr_p2m_frames]
        );
        assert_eq!(start.store_mfn != 0, flags == 0);
    }
}
