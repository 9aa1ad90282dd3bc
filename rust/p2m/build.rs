// SPDX-License-Identifier: GPL-2.0-only

//! Builds the list in the vmalloc area from the one that Xen built, during start of day.

#![forbid(unsafe_code)]

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    PseudoEntry, //
};
use crate::level::{
    Index,
    Level,
    ENTRIES, //
};
use crate::p2m::layout::{
    self,
    kind_of_range,
    Kind,
    FRAMES_PER_LEAF,
    FRAMES_PER_MIDDLE, //
};
use crate::p2m::list;
use crate::p2m::shared::{
    Pages,
    Shared, //
};
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::diag::report;
use crate::platform::early::early_memory;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::StartInfo;
use crate::platform::kernel::address;
use crate::platform::kernel::kernel_data::{
    self,
    P2mArea,
    HOTPLUG_LIMIT_GIB, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::machine_map::{
    self,
    xen_max_p2m_pfn, //
};
use crate::{
    convert,
    pte,
    ptpage,
    upper, //
};
use kernel::macros::init_text;

/// Creates the shared page and the shared table of one kind.
#[init_text]
fn create_shared(early: Early, shared: Shared, sleep: &mut MaySleep) -> Pages {
    let mut page = early_page(sleep);
    page.fill(|_| P2mWord::MISSING.raw());
    let page = page.leak();
    let entry = PseudoEntry::new(page.pfn(), address::kernel_ro());

    let table = early_page(sleep).leak();
    let caller = sleep.caller();
    ptpage::alloc(Mm::kernel(), table.pfn(), Level::L1, caller);
    for index in Index::all() {
        pte::set_now(table.entry(index), convert::to_machine(entry), caller);
    }
    let pages = Pages { page, table };
    shared.set_pages(early, pages);
    pages
}

/// Allocates a page during start of day, or stops the boot.
#[init_text]
fn early_page(sleep: &mut MaySleep) -> OwnedPage {
    match OwnedPage::new(sleep) {
        Some(page) => page,
        None => report::die(c"no memory for the p2m list"),
    }
}

/// Starts to use the list that Xen made (`xen_build_dynamic_phys_to_machine()`).
///
/// Context: start of day, before any entry is converted.
#[init_text]
pub(crate) fn use_initial_list(early: Early) {
    let frames = layout::round_to_leaves(StartInfo::nr_pages());

    machine_map::use_initial_list(early, frames);
    // Xen leaves whatever was in memory behind the last frame of the domain.
    for pfn in StartInfo::nr_pages()..frames {
        machine_map::p2m_try_store(Pfn::new(pfn), P2mWord::MISSING);
    }
    xen_max_p2m_pfn.set(frames);
}

#[init_text]
fn kind_of(pfn: Pfn) -> Kind {
    match machine_map::p2m_load(pfn).map(P2mWord::decode) {
        None | Some(P2mEntry::Identity) => Kind::Identity,
        Some(P2mEntry::Missing) => Kind::Missing,
        Some(P2mEntry::Local(_) | P2mEntry::Foreign(_)) => Kind::Mixed,
    }
}

#[init_text]
fn shared(kind: Kind, pages: &[Pages; 2]) -> Option<Pages> {
    let [missing, identity] = pages;
    match kind {
        Kind::Missing => Some(*missing),
        Kind::Identity => Some(*identity),
        Kind::Mixed => None,
    }
}

/// Returns the size of the area for the list, in bytes, with room for memory that is added later.
#[init_text]
fn area_bytes() -> usize {
    let present = layout::area_bytes(xen_max_p2m_pfn.get());
    let wanted = present.max(layout::area_bytes(layout::frames_in(HOTPLUG_LIMIT_GIB)));
    let space = address::vmalloc_bytes();

    if present > space {
        kernel::pr_emerg!(
            "the p2m list takes {:#x} bytes, the vmalloc area has {:#x}\n",
            present,
            space
        );
        report::die(c"the p2m list does not fit the vmalloc area");
    }
    if wanted > space {
        kernel::pr_warn!(
            "no room to add memory: p2m list of {:#x} bytes, vmalloc area of {:#x}\n",
            wanted,
            space
        );
        return present;
    }
    wanted
}

/// Moves the list to the vmalloc area (`xen_vmalloc_p2m_tree()`).
///
/// Context: start of day; there are page tables for all memory and the memblock allocator.
#[init_text]
pub(crate) fn move_to_vmalloc(early: Early, sleep: &mut MaySleep) {
    list::set_last_frame(xen_max_p2m_pfn.get(), sleep.caller());

    let area = P2mArea::register(early, area_bytes());
    kernel_data::announce_p2m_area(&area);
    xen_max_p2m_pfn.set(area.bytes() / size_of::<usize>());

    let pages = Shared::ALL.map(|shared| create_shared(early, shared, sleep));
    for middle in (0..xen_max_p2m_pfn.get()).step_by(FRAMES_PER_MIDDLE) {
        map_middle(early, &area, Pfn::new(middle), &pages, sleep);
    }

    machine_map::use_final_list(early, area);
    early_memory::invalidate_extra_memory(early);
}

/// Maps the part of the new list that a table of level 1 covers.
#[init_text]
fn map_middle(early: Early, area: &P2mArea, start: Pfn, pages: &[Pages; 2], sleep: &mut MaySleep) {
    if let Some(shared) = shared(kind_of_range(start, FRAMES_PER_MIDDLE, kind_of), pages) {
        let table = shared.table.pfn().paddr();
        let entry = PseudoEntry::from_raw(table.raw() | bits::KERNEL_TABLE);
        let ptr = early_memory::populate_level2(early, word_address_in(area, start));
        upper::set_pmd(ptr, convert::to_machine(entry), sleep.caller());
        return;
    }
    for leaf in 0..ENTRIES {
        map_leaf(early, area, start.add(leaf * FRAMES_PER_LEAF), pages, sleep);
    }
}

/// Maps one page of the new list.
#[init_text]
fn map_leaf(early: Early, area: &P2mArea, start: Pfn, pages: &[Pages; 2], sleep: &mut MaySleep) {
    let entry = match shared(kind_of_range(start, FRAMES_PER_LEAF, kind_of), pages) {
        Some(shared) => PseudoEntry::new(shared.page.pfn(), address::kernel_ro()),
        None => {
            let mut page = early_page(sleep);
            page.fill(|offset| {
                let word = machine_map::p2m_load(start.add(offset));
                word.unwrap_or(P2mWord::MISSING).raw()
            });
            PseudoEntry::new(page.leak().pfn(), address::kernel_rw())
        }
    };
    let ptr = early_memory::populate_level1(early, word_address_in(area, start));
    pte::set_now(ptr, convert::to_machine(entry), sleep.caller());
}

#[init_text]
fn word_address_in(area: &P2mArea, pfn: Pfn) -> Vaddr {
    area.start().add(pfn.raw() * size_of::<usize>())
}
