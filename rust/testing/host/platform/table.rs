// SPDX-License-Identifier: GPL-2.0

//! Pages of entries: page tables, and those that the toolstack reads like page tables.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::{
    Index,
    Level,
    PAGE_SIZE, //
};
use crate::platform::scan::GROUP;
use crate::platform::{
    host,
    load,
    m2p_load,
    p2m_load,
    pfn_to_virt,
    store,
    virt_to_phys,
    MaySleep,
    OwnedPage,
    RunTime,
    TablePage, //
    UnpinnedEntryPtr,
};

/// A page of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Table(Vaddr);

impl Table {
    /// Names the page at `page`.
    pub(crate) fn at(page: Vaddr) -> Self {
        assert_eq!(page.page_offset(), 0);
        Self(page)
    }

    /// Returns the table that `entry` points to, if that is in RAM of the domain.
    pub(crate) fn below(entry: MachineEntry) -> Option<Self> {
        Self::in_frame(entry.mfn())
    }

    /// Returns the table in machine frame `mfn`, if that is RAM of the domain.
    pub(super) fn in_frame(mfn: Mfn) -> Option<Self> {
        own_frame(mfn).map(|pfn| Self(pfn_to_virt(pfn)))
    }

    /// Returns the pointer to entry `index`.
    pub(crate) fn entry(self, index: Index) -> EntryPtr {
        EntryPtr(self.0.add(index.raw() * size_of::<usize>()))
    }

    /// Returns the address of the page.
    pub(crate) fn vaddr(self) -> Vaddr {
        self.0
    }

    /// Returns the frame of the page.
    pub(crate) fn pfn(self) -> Pfn {
        virt_to_phys(self.0).pfn()
    }
}

/// Returns the frame that `mfn` stands for, if it is RAM of the domain: both maps have to say so.
pub(crate) fn own_frame(mfn: Mfn) -> Option<Pfn> {
    let pfn = m2p_load(mfn)?;
    p2m_load(pfn)?.is_local(mfn).then_some(pfn)
}

/// A pointer to an entry of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryPtr(Vaddr);

impl EntryPtr {
    /// Returns the entry.
    #[track_caller]
    pub(crate) fn read(self) -> MachineEntry {
        host().step();
        MachineEntry::from_raw(load(self.0))
    }

    /// Returns the bits that are set in any of the [`GROUP`] entries from this one on, which are in
    /// the same table.
    pub(super) fn any_of_group(self) -> usize {
        let group = self.index().and_behind().take(GROUP);
        group.fold(0, |any, index| any | self.table().entry(index).read().raw())
    }

    /// Stores the entry with a plain write.
    #[track_caller]
    pub(super) fn store(self, entry: MachineEntry) {
        store(self.0, entry.raw());
    }

    /// Returns the address of the entry.
    pub(crate) fn vaddr(self) -> Vaddr {
        self.0
    }

    /// Returns the table that the entry is part of.
    pub(crate) fn table(self) -> Table {
        Table(self.0.page_start())
    }

    /// Returns the index of the entry in its table.
    pub(crate) fn index(self) -> Index {
        Index::at_offset(self.0.page_offset())
    }
}

/// A table that is a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Root(Table);

impl Root {
    /// Takes `table` for the root of an address space, or the kernel's own.
    pub(crate) fn from_table(table: Table) -> Self {
        Self(table)
    }

    /// Returns the table.
    pub(crate) fn table(self) -> Table {
        self.0
    }

    /// Returns the `struct page` of the table, if there are `struct page`s yet.
    pub(crate) fn page(self) -> Option<TablePage> {
        RunTime::now().map(|now| TablePage::at(now, self.0))
    }

    /// Returns the root table for user mode that belongs to this one, if it has one.
    pub(crate) fn user_root(self) -> Option<Table> {
        self.page()?.with_state(|state| state.user_root)
    }

    /// Hands `user_root` over as the root table for user mode.
    pub(crate) fn set_user_root(self, user_root: OwnedPage) -> Result<(), OwnedPage> {
        let Some(page) = self.page() else {
            return Err(user_root);
        };
        let user_root = user_root.leak();
        let before = page.with_state(|state| state.user_root.replace(user_root));
        assert_eq!(before, None, "a root has two user roots");
        Ok(())
    }

    /// Takes the root table for user mode back.
    pub(crate) fn take_user_root(self) -> Option<OwnedPage> {
        let user_root = self.page()?.with_state(|state| state.user_root.take())?;
        Some(OwnedPage::from_leaked(user_root))
    }
}

/// A pointer to an entry of a [`Root`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RootEntryPtr(EntryPtr);

impl RootEntryPtr {
    /// Takes `ptr` for an entry of a root table.
    pub(crate) fn from_slot(ptr: EntryPtr) -> Self {
        Self(ptr)
    }

    /// Returns the pointer, without the root.
    pub(crate) fn ptr(self) -> EntryPtr {
        self.0
    }

    /// Returns the root table.
    pub(crate) fn root(self) -> Root {
        Root(self.0.table())
    }
}

/// A page of the kernel image that is, or is to be, a page table.
pub(crate) struct StaticTable(
    /// Statics without a size could share an address.
    #[expect(dead_code, reason = "gives the static an address of its own")]
    u8,
);

impl StaticTable {
    /// Returns a table without entries.
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Returns the table, by its address in the kernel image.
    pub(crate) fn table(&'static self) -> Table {
        let host = host();
        let mut places = host.static_tables.borrow_mut();
        let next = tables::nth(tables::FIRST_STATIC + places.len());
        let key = &raw const *self as usize;
        Table(*places.entry(key).or_insert(next.vaddr()))
    }
}

/// Tables of the kernel image, made at build time.
pub(crate) mod tables {
    use super::*;
    use crate::platform::KERNEL_MAP;

    /// Number of tables of level 1 of the fixed mappings.
    pub(crate) const NR_FIXMAP_LEVEL1: usize = 3;

    /// The first page of the image for a [`StaticTable`].
    pub(super) const FIRST_STATIC: usize = 4 + NR_FIXMAP_LEVEL1;

    /// The first page of the image that is for tables made at start of day (`brk`).
    pub(crate) const FIRST_BRK: usize = 16;

    /// The end of the image, in pages.
    pub(crate) const IMAGE_PAGES: usize = 32;

    /// Returns page `number` of the image.
    pub(crate) fn nth(number: usize) -> Table {
        assert!(number < IMAGE_PAGES);
        Table(KERNEL_MAP.add(number * PAGE_SIZE))
    }

    /// The root.
    pub(crate) fn root() -> Table {
        nth(0)
    }

    /// Level 3 above the kernel image.
    pub(crate) fn kernel_level3() -> Table {
        nth(1)
    }

    /// Level 2 above the kernel image.
    pub(crate) fn kernel_level2() -> Table {
        nth(2)
    }

    /// Level 2 above the fixed mappings.
    pub(crate) fn fixmap_level2() -> Table {
        nth(3)
    }

    /// Returns the tables of level 1 of the fixed mappings.
    pub(crate) fn fixmap_level1() -> impl Iterator<Item = Table> {
        (4..4 + NR_FIXMAP_LEVEL1).map(nth)
    }
}

/// A page of frame numbers that the toolstack reads, and that Xen never knows as a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramePage(Table);

impl FramePage {
    /// Keeps `page` for good.
    pub(crate) fn new(page: OwnedPage) -> Self {
        Self(page.leak())
    }

    /// Returns the page.
    pub(crate) fn table(self) -> Table {
        self.0
    }

    /// Sets the frame at `index`.
    pub(crate) fn set(self, index: Index, mfn: Mfn) {
        UnpinnedEntryPtr::new(self.0.entry(index)).store(MachineEntry::from_raw(mfn.raw()));
    }
}

/// A page with the address of a [`FramePage`] in each of its words.
pub(crate) struct TableList(Table);

impl TableList {
    /// Allocates a list that names `member` everywhere.
    pub(crate) fn new(member: FramePage, sleep: &mut MaySleep) -> Option<Self> {
        let mut page = OwnedPage::new(sleep)?;
        page.fill(|_| member.0.vaddr().raw());
        Some(Self(page.leak()))
    }

    /// Returns the page at `index`.
    pub(crate) fn get(&self, index: Index) -> FramePage {
        FramePage(Table::at(Vaddr::new(self.0.entry(index).read().raw())))
    }

    /// Puts `member` at `index`.
    pub(crate) fn set(&mut self, index: Index, member: FramePage) {
        let word = MachineEntry::from_raw(member.0.vaddr().raw());
        UnpinnedEntryPtr::new(self.0.entry(index)).store(word);
    }
}

/// Finds the entry that maps `vaddr` in the kernel's address space, and its level.
pub(crate) fn lookup_address(vaddr: Vaddr) -> Option<(EntryPtr, Level)> {
    let level1 = slot_for(vaddr, xen_model::Level::L1).map(|ptr| (ptr, Level::L1));
    level1.or_else(|| {
        let ptr = lookup_level2(vaddr)?;
        ptr.read().is_huge().then_some((ptr, Level::L2))
    })
}

/// Finds the entry of level 2 above `vaddr` in the kernel's address space.
pub(crate) fn lookup_level2(vaddr: Vaddr) -> Option<EntryPtr> {
    slot_for(vaddr, xen_model::Level::L2)
}

fn slot_for(vaddr: Vaddr, level: xen_model::Level) -> Option<EntryPtr> {
    let host = host();
    host.step();
    let table = host.table_for(vaddr, level)?;
    let pfn = host.machine.borrow().m2p(table)?;
    let table = Table(pfn_to_virt(Pfn::new(pfn as usize)));
    Some(table.entry(Index::wrapping(level.index(vaddr.raw() as u64))))
}

/// Whether the entry belongs to the early fixed mappings.
pub(crate) fn is_early_ioremap(ptr: EntryPtr) -> bool {
    tables::fixmap_level1().next() == Some(ptr.table())
}
