// SPDX-License-Identifier: GPL-2.0-only

//! For any memory map of the machine, all that Xen put into a domain ends up in RAM, byte for byte;
//! or the boot stops and reports why.

use crate::addr::{
    Maddr,
    Mfn,
    Pfn, //
};
use crate::guest::memory_setup::{
    self,
    list_range, //
};
use crate::guest::{
    boot_with,
    Guest,
    GuestConfig, //
};
use crate::level::PAGE_SIZE;
use crate::nonram;
use crate::p2m;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::early::start_of_day::{
    self,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::machine::host::Host;
use crate::platform::machine::memory::read_phys;
use crate::platform::machine::memory_map::{
    is_ram,
    Entry,
    MemoryMap, //
};
use std::ops::Range;
use std::panic::{
    catch_unwind,
    AssertUnwindSafe, //
};
use xen_model::MemoryKind;

/// Pages of the initial RAM disk.
const INITRD_PAGES: usize = 9;

/// RAM of the machine beyond the domain's memory, in pages.
const BEHIND: usize = 64;

/// A range that is not ordinary RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hole {
    /// Where it begins, in 65536ths of memory and the RAM beyond it.
    pub(crate) place: u16,
    /// Number of bytes less one; at most 16 pages.
    pub(crate) last: u16,
    /// A type of E820, from 1 on.
    pub(crate) kind: u8,
}

impl Hole {
    fn entry(self, bytes: usize) -> Entry {
        let start = bytes * usize::from(self.place) / 65_536;
        // Ranges of the firmware can begin and end within a page, but most do not.
        let start = match self.place % 4 {
            0 => start,
            _ => start - start % PAGE_SIZE,
        };
        let kinds = [
            MemoryKind::Ram,
            MemoryKind::Reserved,
            MemoryKind::Acpi,
            MemoryKind::Nvs,
            MemoryKind::Unusable,
        ];
        Entry {
            range: start..start + usize::from(self.last) + 1,
            kind: kinds[usize::from(self.kind) % kinds.len()],
        }
    }
}

/// Why a boot may stop.
const REASONS: [&str; 8] = [
    "kernel conflicts with the memory map",
    "xen_start_info conflicts with the memory map",
    "page table conflicts with the memory map",
    "no free memory to move the p2m list to",
    "no free memory to move the initrd to",
    "no RAM behind memory to take the place of a range that is not RAM",
    "too many ranges that are not RAM lie where Xen put the kernel",
    // setup.c does not round the end of RAM, which may be in the middle of a page.
    "a range that is not RAM moves by a part of a page",
];

/// Result of a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing was in the way.
    Plain,
    /// Something moved.
    Moved,
    /// The boot stopped.
    Stopped,
}

/// Returns the contents of a word of the initial RAM disk.
fn initrd_word(offset: usize) -> usize {
    offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

fn fill_initrd(host: &Host) -> Range<usize> {
    let mut machine = host.machine.borrow_mut();
    let start = machine.start_of_day(host.domain);
    let first = start.mod_start as usize;
    let frames = start.frames[first..first + INITRD_PAGES].to_vec();
    for (page, mfn) in frames.into_iter().enumerate() {
        for word in 0..512 {
            let content = initrd_word(page * PAGE_SIZE + word * 8);
            machine.set_frame_word(mfn, word, content as u64);
        }
    }
    first * PAGE_SIZE..(first + INITRD_PAGES) * PAGE_SIZE
}

/// Boots a guest of `nr_pages` pages on a machine with `holes`.
pub(crate) fn check(mut config: GuestConfig, holes: &[Hole]) -> Outcome {
    config.domain.initrd_pages = INITRD_PAGES as u64;
    let nr_pages = config.domain.nr_pages as usize;
    let bytes = (nr_pages + BEHIND) * PAGE_SIZE;
    let guest = Guest::build(config);
    let initrd = fill_initrd(guest.host());
    let ram = Entry {
        range: 0..bytes,
        kind: MemoryKind::Ram,
    };
    let entries = holes.iter().map(|hole| hole.entry(bytes)).chain([ram]);
    let map = MemoryMap::new(entries.collect(), nr_pages, initrd.clone());
    guest.host().memory_map.replace(Some(map.clone()));
    let list = list_range();

    let boot = || {
        boot_with(guest.host(), || memory_setup::set_up(guest.host()));
        nonram::apply(&mut MaySleep::here());
    };
    if let Some(reason) = reason_to_stop(boot) {
        assert!(
            REASONS.iter().any(|known| reason.contains(known)),
            "stopped for another reason: {reason}"
        );
        let (start, end) = start_of_day::image_bounds();
        let start_of_all = address::virt_to_phys(start).raw();
        let end_of_all = (address::virt_to_phys(end).raw() + 40 * PAGE_SIZE)
            .max(list.end)
            .max(initrd.end);
        assert!(
            !map.is_ram(&(start_of_all..end_of_all)),
            "stopped without a conflict"
        );
        return Outcome::Stopped;
    }
    check_kept(&guest, &map);
    let has_moved = guest.host().memory_map.borrow().as_ref() != Some(&map) || !is_ram(&list);
    if has_moved {
        Outcome::Moved
    } else {
        Outcome::Plain
    }
}

/// Runs `boot`; returns why it stopped, if it did.
fn reason_to_stop(boot: impl FnOnce()) -> Option<String> {
    // A fuzzer's panic hook would report this as a crash.
    #[cfg(fuzzing)]
    let hook = std::panic::take_hook();
    let result = catch_unwind(AssertUnwindSafe(boot));
    #[cfg(fuzzing)]
    std::panic::set_hook(hook);

    let reason = result.err()?;
    let text = reason.downcast_ref::<String>().cloned();
    text.or_else(|| Some((*reason.downcast_ref::<&str>()?).to_string()))
        .or_else(|| Some(String::new()))
}

/// Checks the memory of the domain after a boot; `map` is the machine's memory map.
fn check_kept(guest: &Guest, map: &MemoryMap) {
    let nr_pages = StartInfo::nr_pages();
    let (start, end) = start_of_day::image_bounds();
    assert!(is_ram(
        &(address::virt_to_phys(start).raw()..address::virt_to_phys(end).raw())
    ));
    for pfn in (0..nr_pages).map(Pfn::new) {
        let P2mEntry::Local(mfn) = p2m::word(pfn).decode() else {
            panic!("{pfn:x?} has lost its frame");
        };
        assert_eq!(p2m::pfn_of(mfn), Some(pfn));
    }

    let now = guest.host().memory_map.borrow().clone();
    let initrd = now.map(|now| now.initrd).unwrap_or_default();
    assert!(is_ram(&initrd));
    assert_eq!(initrd.len(), INITRD_PAGES * PAGE_SIZE);
    for offset in (0..initrd.len()).step_by(8) {
        let word = read_phys(crate::addr::Paddr::new(initrd.start + offset));
        assert_eq!(word, initrd_word(offset), "byte {offset:#x} of the initrd");
    }

    // Memory that moved out of the kernel's way is found by its machine address.
    let memory_end = nr_pages * PAGE_SIZE;
    for address in (0..memory_end).step_by(PAGE_SIZE) {
        let pseudo = nonram::translate(Maddr::new(address), 1).raw();
        if pseudo != address {
            assert!(pseudo >= memory_end);
            let mfn = Mfn::new(address / PAGE_SIZE);
            let word = p2m::word(Pfn::new(pseudo / PAGE_SIZE));
            assert_eq!(word, P2mWord::from_raw(mfn.raw()));
            let page = address..address + PAGE_SIZE;
            assert!(map.overlap(&page, MemoryKind::Nvs).is_some());
        }
    }
    guest.assert_sound();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Vaddr;
    use crate::properties::{
        config,
        regressions, //
    };
    use proptest::prelude::*;

    fn hole() -> impl Strategy<Value = Hole> {
        let last = prop_oneof![Just(4095u16), any::<u16>()];
        (any::<u16>(), last, any::<u8>()).prop_map(|(place, last, kind)| Hole { place, last, kind })
    }

    fn guest() -> impl Strategy<Value = GuestConfig> {
        (600..1100u64, any::<bool>(), any::<u64>()).prop_map(|(nr_pages, is_dom0, seed)| {
            let config = if is_dom0 {
                GuestConfig::dom0(nr_pages)
            } else {
                GuestConfig::domu(nr_pages)
            };
            config.with_seed(seed)
        })
    }

    proptest! {
        #![proptest_config(config(60, regressions!("memory_map")))]

        #[test]
        fn what_xen_has_put_there_is_kept_or_the_boot_stops(
            guest in guest(),
            holes in prop_oneof![
                4 => prop::collection::vec(hole(), 1..4),
                1 => prop::collection::vec(hole(), 150..200),
            ],
        ) {
            check(guest, &holes);
        }
    }

    /// A hole of one page of `kind` at page `page`.
    fn page(page: usize, kind: u8) -> Hole {
        let place = (page * 65_536).div_ceil(1000 + BEHIND) as u16;
        // The start is rounded down to the page, unless it is a multiple of four.
        let place = if place % 4 == 0 { place + 1 } else { place };
        Hole {
            place,
            last: 4095,
            kind,
        }
    }

    /// Types in the numbering of [`Hole::kind`].
    const RESERVED: u8 = 1;
    const NVS: u8 = 3;

    #[test]
    fn each_kind_of_conflict_has_its_outcome() {
        let config = || GuestConfig::dom0(1000);
        let places = |mut config: GuestConfig| {
            config.domain.initrd_pages = INITRD_PAGES as u64;
            let _guest = Guest::build(config);
            let tables = address::virt_to_phys(Vaddr::new(StartInfo::pt_base()));
            (list_range().start / PAGE_SIZE, tables.pfn().raw())
        };
        let (list, tables) = places(config());
        assert_eq!(check(config(), &[page(900, RESERVED)]), Outcome::Plain);
        assert_eq!(check(config(), &[page(3, RESERVED)]), Outcome::Stopped);
        assert_eq!(check(config(), &[page(3, NVS)]), Outcome::Moved);
        assert_eq!(check(config(), &[page(list - 1, RESERVED)]), Outcome::Moved);
        assert_eq!(check(config(), &[page(list, RESERVED)]), Outcome::Moved);
        let four = [3, 8, 13, 18].map(|at| page(at, NVS));
        assert_eq!(check(config(), &four), Outcome::Moved);
        let five = [3, 8, 13, 18, 23].map(|at| page(at, NVS));
        assert_eq!(check(config(), &five), Outcome::Stopped);
        // The second of Xen's tables, of level 1, is in use: a range over it is remapped, or the
        // boot stops.
        let at_table = |number, kind| check(config(), &[page(tables + number, kind)]);
        assert_eq!(at_table(1, RESERVED), Outcome::Stopped);
        assert_eq!(at_table(1, NVS), Outcome::Moved);
        for unused in [0, 2, 3] {
            assert_eq!(at_table(unused, RESERVED), Outcome::Plain);
        }
        // The toolstack puts the tables of level 1 after the others; a region of this size has two.
        let wide = || {
            let mut config = GuestConfig::domu(1000);
            config.domain.image_pages = 600;
            config
        };
        let (_, tables) = places(wide());
        for (number, outcome) in [
            (2, Outcome::Plain),
            (3, Outcome::Stopped),
            (4, Outcome::Stopped),
            (5, Outcome::Plain),
        ] {
            assert_eq!(check(wide(), &[page(tables + number, RESERVED)]), outcome);
        }
        // RAM that ends in the middle of its last page.
        let cut = Hole {
            place: 65_532,
            last: 4095,
            kind: RESERVED,
        };
        assert_eq!(check(config(), &[page(3, NVS), cut]), Outcome::Stopped);
    }
}
