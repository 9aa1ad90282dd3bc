// SPDX-License-Identifier: GPL-2.0-only

//! What remains of start of day once a guest has booted.

use super::check_booted;
use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::boot::relocate::relocate;
use crate::entry::bits;
use crate::guest::{
    boot,
    Guest,
    GuestConfig, //
};
use crate::level::{
    ENTRIES,
    PAGE_SIZE, //
};
use crate::p2m;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::early::start_of_day::{
    self,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::machine::host::early;
use crate::platform::paging::static_tables;
use crate::platform::xen::machine_map::xen_p2m_addr;
use std::ops::Range;
use xen_model::{
    Entry,
    Kind,
    Level,
    ListPages,
    StartOfDay, //
};

/// Size of the range that an entry of level 2 maps.
const SPAN: usize = ENTRIES * PAGE_SIZE;

/// Guests as Xen and the toolstack build them, with the p2m list in each possible place.
fn configs(nr_pages: u64) -> [GuestConfig; 5] {
    let with_list = |mut config: GuestConfig, list_va, list_pages| {
        config.domain.list_va = list_va;
        config.domain.list_pages = list_pages;
        config
    };
    let (dom0, domu) = (GuestConfig::dom0(nr_pages), GuestConfig::domu(nr_pages));
    let apart = dom0.domain.list_va;
    [
        with_list(dom0.clone(), apart, ListPages::TwoMb),
        with_list(dom0.clone(), apart, ListPages::OneGb),
        with_list(dom0, None, ListPages::OneGb),
        with_list(domu.clone(), apart, ListPages::OneGb),
        with_list(domu, None, ListPages::OneGb),
    ]
}

/// Boots, and moves the list as for a conflict with the memory map if `is_moved`. Returns the guest
/// and what it found at start of day.
fn boot(config: GuestConfig, is_moved: bool) -> (Guest, StartOfDay) {
    let guest = Guest::build(config);
    let host = guest.host();
    let start = host.machine.borrow().start_of_day(host.domain).clone();
    boot::boot_with(host, || {
        if is_moved {
            relocate(early(), CallContext::here());
        }
    });
    guest.assert_sound();
    (guest, start)
}

fn is_free(guest: &Guest, pfn: usize) -> bool {
    guest.host().pool.borrow().is_free(Pfn::new(pfn))
}

/// Returns the pages of the list that Xen built, and of the tables that only it needed.
fn pages_of_list(start: &StartOfDay) -> Range<usize> {
    let (first, count) = match start.nr_p2m_frames {
        0 => {
            let list = address::virt_to_phys(Vaddr::new(start.mfn_list as usize));
            (
                list.pfn().raw(),
                (start.nr_pages as usize).div_ceil(ENTRIES),
            )
        }
        count => (start.first_p2m_pfn as usize, count as usize),
    };
    first..first + count
}

/// Returns the pages of the tables that Xen built.
fn pages_of_tables(start: &StartOfDay) -> Range<usize> {
    let first = address::virt_to_phys(Vaddr::new(start.pt_base as usize))
        .pfn()
        .raw();
    first..first + start.nr_pt_frames as usize
}

/// Checks that Xen's tables with the numbers `kept` are kept, and that the others are free and
/// empty.
fn check_tables(config: GuestConfig, kept: Range<usize>) {
    let guest = Guest::build(config);
    let host = guest.host();
    let start = host.machine.borrow().start_of_day(host.domain).clone();
    boot::boot_with(host, || {
        for (place, page) in pages_of_tables(&start).enumerate() {
            let is_kept = kept.contains(&place);
            assert_eq!(is_free(&guest, page), !is_kept, "table {place}");
            let machine = host.machine.borrow();
            let is_empty =
                (0..ENTRIES).all(|word| machine.frame_word(start.frames[page], word) == 0);
            assert_eq!(is_empty, !is_kept, "table {place}");
        }
    });
    guest.assert_sound();
}

#[test]
fn tables_that_xen_built_are_kept_from_the_first_to_the_last_in_use() {
    for mut config in configs(8192) {
        let is_dom0 = config.domain.kind == Kind::Dom0;
        // Xen builds the root and then levels 1, 2 and 3; the toolstack goes from the root down.
        check_tables(config.clone(), if is_dom0 { 1..2 } else { 3..4 });
        // A region as large as Xen's has a second table of level 1, after the others.
        config.domain.region_align = 22;
        check_tables(config, if is_dom0 { 1..5 } else { 3..5 });
    }
}

/// `start_info` and the rings are kept, and the pages of the list that Xen built are free.
fn check_reserved(guest: &Guest, start: &StartOfDay) {
    let info = address::virt_to_phys(Vaddr::new(start.start_info as usize))
        .pfn()
        .raw();
    assert!(!is_free(guest, info));
    for ring in [start.store_mfn, start.console_mfn] {
        let page = start.frames.iter().position(|mfn| mfn.0 == ring);
        assert_eq!(page.is_some(), !StartInfo::is_initial_domain());
        assert!(page.is_none_or(|page| !is_free(guest, page)));
    }
    for page in pages_of_list(start) {
        assert!(is_free(guest, page), "page {page:#x} of the list");
    }
}

/// Free pages are writable, and mapped once.
fn check_free(guest: &Guest, start: &StartOfDay) {
    let host = guest.host();
    let free = |page: &usize| is_free(guest, *page);
    for page in (0..start.frames.len()).filter(free) {
        let mfn = start.frames[page];
        let entry = host.entry_for(address::pfn_to_virt(Pfn::new(page)), Level::L1);
        let is_mapped = |entry: &Entry| entry.is_writable() && entry.mfn() == mfn;
        assert!(
            entry.as_ref().is_some_and(is_mapped),
            "page {page:#x}: {entry:x?}"
        );
        let machine = host.machine.borrow();
        assert_eq!(machine.frame(mfn).type_count(), 1, "page {page:#x}");
    }
}

/// `start_info` has addresses that stay mapped.
fn check_start_info(start: &StartOfDay) {
    let stays =
        |address: u64| address::phys_to_virt(address::virt_to_phys(Vaddr::new(address as usize)));
    assert_eq!(StartInfo::address(), stays(start.start_info));
    assert_eq!(StartInfo::pt_base(), stays(start.pt_base).raw());
    assert_eq!(StartInfo::mfn_list().raw(), xen_p2m_addr.get());
    let mapped = match start.nr_p2m_frames {
        0 => pages_of_list(start).start,
        _ => start.first_p2m_pfn as usize,
    };
    assert_eq!(start_of_day::max_pfn_mapped(), mapped);
}

/// The kernel map is executable, the direct map of the same pages is not.
fn check_executable(guest: &Guest) {
    for (address, is_executable) in [
        (KERNEL_MAP, true),
        (address::pfn_to_virt(Pfn::new(0)), false),
    ] {
        let entry = guest.host().entry_for(address, Level::L2);
        let agrees =
            |entry: Entry| entry.is_present() && entry.has(bits::NX as u64) != is_executable;
        assert!(entry.is_some_and(agrees), "{address:x?}");
    }
}

#[test]
fn only_pages_in_use_are_kept() {
    for nr_pages in [1024, 4097] {
        for config in configs(nr_pages) {
            for is_moved in [false, true] {
                let (guest, start) = boot(config.clone(), is_moved);
                check_reserved(&guest, &start);
                check_free(&guest, &start);
                check_start_info(&start);
                check_executable(&guest);
                check_booted(&guest);
            }
        }
    }
}

#[test]
fn a_list_that_large_pages_map_is_freed_as_others_are() {
    // The list is longer than what a table of level 1 maps.
    let [config, ..] = configs((1 << 18) + 1024);
    for is_moved in [false, true] {
        let (guest, start) = boot(config.clone(), is_moved);
        check_reserved(&guest, &start);
        for page in [0, 1 << 18, start.frames.len() - 1] {
            let word = p2m::word(Pfn::new(page));
            assert_eq!(word.raw() as u64, start.frames[page].0);
        }
    }
}

/// Checks the kernel map of a guest where Xen's list and tables begin `image_pages` pages into the
/// region. Nothing uses the pages between the image and them.
fn check_kernel_map(mut config: GuestConfig, image_pages: u64, is_moved: bool) {
    config.domain.image_pages = image_pages;
    // The alignment that Xen uses.
    config.domain.region_align = 22;
    let (guest, start) = boot(config, is_moved);

    let list = pages_of_list(&start);
    let given_up = match start.nr_p2m_frames {
        0 if !is_moved => list.start..pages_of_tables(&start).end,
        _ => pages_of_tables(&start),
    };
    let end = address::virt_to_phys(Vaddr::new(start.region_end as usize))
        .pfn()
        .raw();
    for table in 0..end.div_ceil(ENTRIES) {
        let pages = table * ENTRIES..(table + 1) * ENTRIES;
        let has_image = pages.start < static_tables::IMAGE_PAGES;
        let is_given_up = pages.start < given_up.end && given_up.start < pages.end;
        let is_before = pages.end <= given_up.start;
        let entry = guest
            .host()
            .entry_for(KERNEL_MAP.add(table * SPAN), Level::L2);
        let is_mapped = entry.is_some_and(|entry| entry.is_present());
        if has_image || is_before {
            assert!(is_mapped, "{table}: gone, given up: {given_up:x?}");
        } else if is_given_up {
            assert!(!is_mapped, "{table}: mapped, given up: {given_up:x?}");
        }
    }
}

#[test]
fn the_kernel_map_loses_what_xen_built() {
    // The list or the tables follow the image, begin at a border of two entries, cross one, or are
    // far from the image.
    for image_pages in [32, 509, 511, 512, 1016, 1500] {
        for config in configs(8192) {
            for is_moved in [false, true] {
                check_kernel_map(config.clone(), image_pages, is_moved);
            }
        }
    }
}
