// SPDX-License-Identifier: GPL-2.0-only

//! What moves because of the E820 map: the p2m list, and ranges that are not RAM.

use super::check_booted;
use crate::addr::{
    Maddr,
    Paddr,
    Pfn, //
};
use crate::boot::relocate::relocate;
use crate::entry::bits;
use crate::guest::{
    boot,
    Access,
    Guest,
    GuestConfig, //
};
use crate::nonram::{
    self,
    Remap, //
};
use crate::p2m;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::early::start_of_day::{
    self,
    StartInfo, //
};
use crate::platform::kernel::layout::{
    KERNEL_MAP,
    RELOCATED_LIST, //
};
use crate::platform::machine::host::early;
use crate::platform::xen::machine_map::xen_p2m_addr;
use kernel::log;
use xen_model::Level;

/// Returns the guest with a p2m list that is part of the kernel's region.
fn with_list_in_region(mut config: GuestConfig) -> GuestConfig {
    config.domain.list_va = None;
    config
}

#[test]
fn guests_boot_with_the_list_in_the_region_of_the_kernel() {
    for nr_pages in [1024, 4097] {
        for config in [GuestConfig::dom0(nr_pages), GuestConfig::domu(nr_pages)] {
            let guest = Guest::build(with_list_in_region(config));
            let list = StartInfo::mfn_list();
            assert!(list > KERNEL_MAP);
            boot::boot(guest.host());
            check_booted(&guest);
        }
    }
}

/// Boots with a list that moves, and checks that its old pages are free.
#[track_caller]
fn boot_with_relocation(config: GuestConfig) {
    let nr_pages = config.domain.nr_pages as usize;
    let plain = Guest::boot(config.clone());
    let nr_free = plain.snapshot().nr_free;
    drop(plain);

    let guest = Guest::build(config);
    boot::boot_with(guest.host(), || {
        let words: Vec<_> = (0..nr_pages).map(|pfn| p2m::word(Pfn::new(pfn))).collect();
        let old = StartInfo::mfn_list();
        let nr_free = guest.host().pool.borrow().nr_free();
        relocate(early(), CallContext::here());

        assert_ne!(StartInfo::mfn_list(), old);
        assert_eq!(StartInfo::mfn_list(), RELOCATED_LIST);
        assert_eq!(xen_p2m_addr.get(), RELOCATED_LIST.raw());
        // The list is not executable.
        let entry = guest.host().entry_for(RELOCATED_LIST, Level::L1);
        assert!(entry.is_some_and(|entry| entry.has(bits::NX as u64)));
        let moved: Vec<_> = (0..nr_pages).map(|pfn| p2m::word(Pfn::new(pfn))).collect();
        assert_eq!(moved, words);
        // The pages of the old list are free: as many as the new one takes, if both are mapped
        // alike.
        let list = nr_pages.div_ceil(512);
        let tables = StartInfo::nr_p2m_frames() - list;
        assert!((3..=4).contains(&tables), "{tables} tables");
        let lost = nr_free - guest.host().pool.borrow().nr_free();
        assert!(lost <= tables, "{lost} pages are gone");
    });
    check_booted(&guest);
    // The pages at the new address are freed as well.
    assert_eq!(guest.snapshot().nr_free, nr_free);

    let mut process = guest.spawn();
    process.map(0x1000, 4, Access::Write);
    process.write(0x1000, 1);
    assert_eq!(process.read(0x1000), 1);
    process.exit();
    guest.assert_sound();
}

#[test]
fn a_list_with_an_entry_of_the_root_moves() {
    for nr_pages in [1024, 4097] {
        boot_with_relocation(GuestConfig::dom0(nr_pages));
        boot_with_relocation(GuestConfig::domu(nr_pages));
    }
}

#[test]
fn a_list_in_the_region_of_the_kernel_moves() {
    for nr_pages in [1024, 4097] {
        boot_with_relocation(with_list_in_region(GuestConfig::dom0(nr_pages)));
        boot_with_relocation(with_list_in_region(GuestConfig::domu(nr_pages)));
    }
}

#[test]
#[should_panic(expected = "no free memory to move the p2m list to")]
fn a_list_that_has_no_place_to_go_to_stops_the_boot() {
    let guest = Guest::build(GuestConfig::dom0(1024));
    boot::boot_with(guest.host(), || {
        let mut pool = guest.host().pool.borrow_mut();
        pool.reserve(Pfn::new(0), 1024);
        drop(pool);
        relocate(early(), CallContext::here());
    });
}

/// Ranges of pages without memory: in the middle of a page, and across two of them.
const MOVES: [Remap; 2] = [
    Remap {
        machine: Maddr::new(0x9_0800),
        pseudo: Paddr::new(3500 * 0x1000 + 0x800),
        bytes: 0x1000,
    },
    Remap {
        machine: Maddr::new(0x20_0000),
        pseudo: Paddr::new(3400 * 0x1000),
        bytes: 0x1000,
    },
];

fn add_moves() {
    for moved in MOVES {
        nonram::add(early(), moved);
    }
}

#[test]
fn ranges_that_move_are_in_the_list() {
    let guest = Guest::build(GuestConfig::dom0(3000));
    boot::boot_with(guest.host(), add_moves);
    log::take();
    nonram::apply(&mut MaySleep::here());
    let messages: Vec<_> = log::take()
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(messages, ["Remapped 3 non-RAM page(s)"]);

    for (pfn, mfn) in [(3500, 0x90), (3501, 0x91), (3400, 0x200)] {
        assert_eq!(p2m::word(Pfn::new(pfn)), P2mWord::from_raw(mfn));
    }
    for pfn in [3399, 3401, 3499, 3502] {
        assert_eq!(p2m::word(Pfn::new(pfn)), P2mWord::identity(Pfn::new(pfn)));
    }
}

#[test]
fn nothing_is_reported_if_no_range_moves() {
    let _guest = Guest::boot(GuestConfig::dom0(1000));
    log::take();
    nonram::apply(&mut MaySleep::here());
    assert_eq!(log::take(), []);
    assert_eq!(start_of_day::nr_acpi_hooks(), 0);
}

#[test]
fn acpi_finds_ranges_that_moved() {
    let guest = Guest::build(GuestConfig::dom0(3000));
    boot::boot_with(guest.host(), add_moves);
    assert_eq!(start_of_day::nr_acpi_hooks(), 1);
    for moved in MOVES {
        assert_eq!(nonram::translate(moved.machine, 8), moved.pseudo);
        assert_eq!(
            nonram::translate(moved.machine.add(0x10), 8).raw(),
            moved.pseudo.raw() + 0x10
        );
    }
    assert_eq!(nonram::translate(Maddr::new(0x30_0000), 8).raw(), 0x30_0000);
    guest.assert_sound();

    let [moved, _] = MOVES;
    let before = Maddr::new(moved.machine.raw() - 8);
    assert_eq!(
        nonram::translate(before, 0x10).raw(),
        moved.pseudo.raw() - 8
    );
    assert_eq!(
        guest.complaints(),
        ["ACPI maps 0x10 bytes at 0x907f8 across the border of a range that moved"]
    );
}

#[test]
#[should_panic(expected = "moves by a part of a page")]
fn a_range_moves_by_whole_pages() {
    let guest = Guest::build(GuestConfig::dom0(1000));
    boot::boot_with(guest.host(), || {
        let remap = Remap {
            pseudo: Paddr::new(MOVES[0].pseudo.raw() + 1),
            ..MOVES[0]
        };
        nonram::add(early(), remap);
    });
}

#[test]
fn as_many_ranges_move_as_there_is_room_for() {
    let guest = Guest::build(GuestConfig::dom0(1000));
    boot::boot_with(guest.host(), || {
        (0..nonram::MAX_REMAPS).for_each(|_| nonram::add(early(), MOVES[0]))
    });
    assert_eq!(start_of_day::nr_acpi_hooks(), 1);
    guest.assert_sound();
}

#[test]
#[should_panic(expected = "too many ranges that are not RAM")]
fn one_range_too_many_stops_the_boot() {
    let guest = Guest::build(GuestConfig::dom0(1000));
    boot::boot_with(guest.host(), || {
        (0..=nonram::MAX_REMAPS).for_each(|_| nonram::add(early(), MOVES[0]))
    });
}

#[test]
#[should_panic(expected = "a range that is not RAM could not be remapped")]
fn a_range_beyond_the_list_stops_the_boot() {
    let guest = Guest::build(GuestConfig::dom0(1000));
    boot::boot_with(guest.host(), || {
        let remap = Remap {
            pseudo: Paddr::new(1 << 40),
            machine: Maddr::new(0),
            bytes: 1,
        };
        nonram::add(early(), remap);
    });
    nonram::apply(&mut MaySleep::here());
}

#[test]
fn frames_become_identity_frames_as_far_as_the_list_reaches() {
    let guest = Guest::build(GuestConfig::dom0(1024));
    boot::boot_with(guest.host(), || {
        let word = |pfn| p2m::word(Pfn::new(pfn));
        let before: Vec<_> = (1000..1024).map(word).collect();
        let set = |start, end| p2m::set_range_identity(Pfn::new(start), Pfn::new(end));
        assert_eq!(set(1000, 1000), 0);
        assert_eq!(set(1000, 999), 0);
        assert_eq!(word(1000), before[0]);
        assert_eq!(set(1001, 1010), 9);
        for pfn in 1001..1010 {
            assert_eq!(word(pfn), P2mWord::identity(Pfn::new(pfn)));
        }
        assert_eq!((word(1000), word(1010)), (before[0], before[10]));
        // Xen's list covers 1024 frames; those beyond them need no word.
        assert_eq!(set(1010, 2000), 14);
        // These are RAM.
        for (pfn, word) in (1000..).zip(before) {
            assert!(p2m::try_set(Pfn::new(pfn), word));
        }
    });
    check_booted(&guest);
}
