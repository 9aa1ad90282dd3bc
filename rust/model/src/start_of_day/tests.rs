// SPDX-License-Identifier: GPL-2.0

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
