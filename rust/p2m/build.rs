// SPDX-License-Identifier: GPL-2.0

//! Builds the list in the vmalloc area from the one that Xen made, during start of day.

use crate::addr::{
    Vaddr,
    ENTRIES, //
};
use crate::entry::{
    bits,
    PseudoEntry, //
};
use crate::frame::{
    P2mEntry,
    P2mWord,
    Pfn, //
};
use crate::level::Level;
use crate::p2m::grow;
use crate::p2m::layout::{
    self,
    kind_of_range,
    Kind,
    FRAMES_PER_LEAF,
    FRAMES_PER_MIDDLE, //
};
use crate::platform::{
    announce_p2m_area,
    die,
    invalidate_extra_memory,
    kernel_ro,
    kernel_rw,
    p2m_load,
    p2m_try_store,
    p2m_word_address,
    phys,
    populate_level1,
    populate_level2,
    register_p2m_area,
    vmalloc_bytes,
    xen_max_p2m_pfn,
    xen_p2m_addr,
    xen_p2m_size,
    Caller,
    Mm,
    OwnedPage,
    ReadMostly,
    Slot,
    StartInfo,
    HOTPLUG_LIMIT_GIB, //
};
use crate::{
    alloc,
    convert,
    set, //
};

/// The shared parts of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shared {
    /// There is no machine frame.
    Missing,
    /// Identity frames.
    Identity,
}

/// Addresses of the shared page and the shared table of one kind; 0 before they exist.
struct Pages {
    page: ReadMostly,
    table: ReadMostly,
}

impl Pages {
    const fn none() -> Self {
        Self {
            page: ReadMostly::new(0),
            table: ReadMostly::new(0),
        }
    }
}

static MISSING: Pages = Pages::none();
static IDENTITY: Pages = Pages::none();

impl Shared {
    const ALL: [Self; 2] = [Self::Missing, Self::Identity];

    fn pages(self) -> &'static Pages {
        match self {
            Shared::Missing => &MISSING,
            Shared::Identity => &IDENTITY,
        }
    }

    /// Returns the address of the shared page of words.
    pub(crate) fn page(self) -> Vaddr {
        Vaddr::new(self.pages().page.get())
    }

    /// Returns the address of the shared table of level 1.
    pub(crate) fn table(self) -> Vaddr {
        Vaddr::new(self.pages().table.get())
    }

    /// Returns which shared page the entry of level 1 maps, if it is one.
    pub(crate) fn of_leaf(slot: Slot) -> Option<Self> {
        let pfn = convert::to_pseudo(slot.read()).pfn();
        Self::ALL
            .into_iter()
            .find(|shared| shared.page().raw() != 0 && phys(shared.page()).pfn() == pfn)
    }

    /// Returns which shared table the one at `table` is, if it is one.
    pub(crate) fn of_table(table: Vaddr) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|shared| shared.table().raw() != 0 && shared.table() == table)
    }

    /// Makes the shared page and the shared table.
    #[link_section = ".init.text"]
    fn create(self) {
        let mut page = early_page();
        page.fill(|_| P2mWord::MISSING.raw());
        let entry = PseudoEntry::new(page.pfn(), kernel_ro());

        let table = early_page();
        alloc::table(Mm::kernel(), table.pfn(), Level::L1, Caller::here());
        for index in 0..ENTRIES {
            set::pte(
                table.slot(index),
                convert::to_machine(entry),
                Caller::here(),
            );
        }
        self.pages().page.set(page.leak().raw());
        self.pages().table.set(table.leak().raw());
    }
}

/// Allocates a page during start of day, when a failure ends the boot in any case.
#[link_section = ".init.text"]
fn early_page() -> OwnedPage {
    match OwnedPage::new() {
        Some(page) => page,
        None => die(c"no memory for the p2m list"),
    }
}

/// Starts to use the list that Xen made (`xen_build_dynamic_phys_to_machine()`).
///
/// Context: start of day.
#[link_section = ".init.text"]
pub(crate) fn use_initial_list() {
    let frames = layout::round_to_leaves(StartInfo::nr_pages());

    xen_p2m_addr.set(StartInfo::mfn_list());
    xen_p2m_size.set(frames);
    // Xen leaves whatever was in memory behind the last frame of the domain.
    for pfn in StartInfo::nr_pages()..frames {
        p2m_try_store(Pfn::new(pfn), P2mWord::MISSING);
    }
    xen_max_p2m_pfn.set(frames);
}

#[link_section = ".init.text"]
fn kind_of(pfn: Pfn) -> Kind {
    match p2m_load(pfn).map(P2mWord::decode) {
        None | Some(P2mEntry::Identity) => Kind::Identity,
        Some(P2mEntry::Missing) => Kind::Missing,
        Some(P2mEntry::Local(_) | P2mEntry::Foreign(_)) => Kind::Mixed,
    }
}

#[link_section = ".init.text"]
fn shared(kind: Kind) -> Option<Shared> {
    match kind {
        Kind::Missing => Some(Shared::Missing),
        Kind::Identity => Some(Shared::Identity),
        Kind::Mixed => None,
    }
}

/// Returns the size of the area for the list, with room for memory that is added later.
#[link_section = ".init.text"]
fn area_bytes() -> usize {
    let present = layout::area_bytes(xen_max_p2m_pfn.get());
    let wanted = present.max(layout::area_bytes(layout::frames_in(HOTPLUG_LIMIT_GIB)));
    let space = vmalloc_bytes();

    if present > space {
        kernel::pr_emerg!(
            "the p2m list takes {:#x} bytes, the vmalloc area has {:#x}\n",
            present,
            space
        );
        die(c"the p2m list does not fit the vmalloc area");
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
/// Context: start of day, with page tables for all memory and the memblock allocator.
#[link_section = ".init.text"]
pub(crate) fn move_to_vmalloc() {
    grow::set_last_frame(xen_max_p2m_pfn.get());

    let bytes = area_bytes();
    let area = register_p2m_area(bytes);
    announce_p2m_area(area, bytes);
    xen_max_p2m_pfn.set(bytes / size_of::<usize>());

    for shared in Shared::ALL {
        shared.create();
    }
    for middle in (0..xen_max_p2m_pfn.get()).step_by(FRAMES_PER_MIDDLE) {
        map_middle(area, Pfn::new(middle));
    }

    xen_p2m_addr.set(area.raw());
    xen_p2m_size.set(xen_max_p2m_pfn.get());
    invalidate_extra_memory();
}

/// Maps the part of the new list that a table of level 1 covers.
#[link_section = ".init.text"]
fn map_middle(area: Vaddr, start: Pfn) {
    if let Some(shared) = shared(kind_of_range(start, FRAMES_PER_MIDDLE, kind_of)) {
        let entry = PseudoEntry::from_raw(phys(shared.table()).raw() | bits::KERNEL_TABLE);
        let slot = populate_level2(word_address_in(area, start));
        set::pmd(slot, convert::to_machine(entry), Caller::here());
        return;
    }
    for leaf in 0..ENTRIES {
        map_leaf(area, start.add(leaf * FRAMES_PER_LEAF));
    }
}

/// Maps one page of the new list.
#[link_section = ".init.text"]
fn map_leaf(area: Vaddr, start: Pfn) {
    let entry = match shared(kind_of_range(start, FRAMES_PER_LEAF, kind_of)) {
        Some(shared) => PseudoEntry::new(phys(shared.page()).pfn(), kernel_ro()),
        None => {
            let mut page = early_page();
            page.copy_from(p2m_word_address(start));
            PseudoEntry::new(phys(page.leak()).pfn(), kernel_rw())
        }
    };
    let slot = populate_level1(word_address_in(area, start));
    set::pte(slot, convert::to_machine(entry), Caller::here());
}

#[link_section = ".init.text"]
fn word_address_in(area: Vaddr, pfn: Pfn) -> Vaddr {
    area.add(pfn.raw() * size_of::<usize>())
}
