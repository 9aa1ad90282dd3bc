// SPDX-License-Identifier: GPL-2.0-only

//! The size of the p2m list: it covers memory that may be added, if the vmalloc area is large
//! enough.

use crate::addr::Pfn;
use crate::convert::to_pseudo;
use crate::guest::{
    boot,
    Guest,
    GuestConfig, //
};
use crate::p2m;
use crate::p2m::ranges::{
    self,
    Kind, //
};
use crate::p2m_word::P2mWord;
use crate::platform::early::early_memory;
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr;
use crate::platform::xen::machine_map;
use std::panic::{
    catch_unwind,
    AssertUnwindSafe, //
};

const MIB: usize = 1 << 20;

#[test]
fn memory_that_may_be_added_has_no_frames() {
    let guest = Guest::build(GuestConfig::dom0(1024));
    let extra = 1100..1300;
    let check = || {
        for pfn in 1000..1400 {
            let word = p2m::word(Pfn::new(pfn));
            if pfn < 1024 {
                assert!(word.mfn().is_some(), "frame {pfn}");
            } else if extra.contains(&pfn) {
                assert!(word.is_missing(), "frame {pfn}");
            } else {
                assert_eq!(word, P2mWord::identity(Pfn::new(pfn)));
            }
        }
    };
    boot::boot_with(guest.host(), || {
        early_memory::add_extra_memory(Pfn::new(extra.start), extra.len());
        check();
    });
    // Now the list has words for all of it.
    check();
    guest.assert_sound();
}

#[test]
fn ranges_that_begin_within_shared_memory_end_where_the_kind_changes() {
    let guest = Guest::build(GuestConfig::dom0(1024));
    // The words of frames 1536 to 2560 are in shared pages, as are those after them, of another
    // kind.
    boot::boot_with(guest.host(), || {
        early_memory::add_extra_memory(Pfn::new(2560), 100)
    });
    for pfn in [1024, 1535, 1536, 1700, 2047, 2048, 2559, 2560, 2600] {
        let (kind, end) = match pfn {
            ..2560 => (Kind::Identity, 2560),
            _ => (Kind::Missing, 2660),
        };
        let range = ranges::find(Pfn::new(pfn)).expect("the list does not reach so far");
        assert_eq!((range.kind, range.end.raw()), (kind, end), "frame {pfn}");
    }
}

/// A lookup of a frame reads the list, and a lookup of the list's own pages does so too.
#[test]
fn a_list_that_knows_nothing_of_its_own_pages_can_be_read() {
    let guest = Guest::build(GuestConfig::dom0(1024));
    boot::boot(guest.host());
    let pages = [0, 512].map(|pfn| {
        let (ptr, _) = entry_ptr::lookup_address(machine_map::p2m_word_address(Pfn::new(pfn)))
            .expect("no page of the list");
        to_pseudo(ptr.read()).pfn()
    });
    for page in pages {
        assert!(page.raw() < 1024);
        assert!(p2m::try_set(page, P2mWord::MISSING));
    }
    for page in pages {
        assert!(p2m::word(page).is_missing());
    }
}

#[test]
fn the_list_takes_no_more_than_the_vmalloc_area_has() {
    let boot_in = |bytes| {
        let guest = Guest::build(GuestConfig::domu(600));
        address::set_vmalloc_bytes(bytes);
        let booted = catch_unwind(AssertUnwindSafe(|| boot::boot(guest.host())));
        (booted.is_ok(), guest.complaints())
    };
    // The guest's memory needs 2 MiB, all memory that can be added 4 MiB.
    assert_eq!(boot_in(4 * MIB), (true, Vec::new()));
    for (bytes, shown) in [(4 * MIB - 8, "0x3ffff8"), (2 * MIB, "0x200000")] {
        let message =
            format!("no room to add memory: p2m list of 0x400000 bytes, vmalloc area of {shown}");
        assert_eq!(boot_in(bytes), (true, vec![message]));
    }
    let (is_booted, messages) = boot_in(2 * MIB - 8);
    assert!(!is_booted);
    assert_eq!(
        messages,
        ["the p2m list takes 0x200000 bytes, the vmalloc area has 0x1ffff8"]
    );
}
