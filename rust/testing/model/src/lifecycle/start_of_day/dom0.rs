// SPDX-License-Identifier: GPL-2.0-only

//! Xen's builder of the initial domain.

use super::layout::Region;
use super::tables::Tree;
use super::{
    BuildError,
    Built, //
};
use crate::entry::{
    Entry,
    Level,
    ACCESSED,
    DIRTY,
    GUEST_KERNEL,
    PRESENT,
    PSE,
    RW,
    USER, //
};
use crate::machine::domain::ListPages;
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::types::{
    DomainId,
    Mfn,
    Pfn,
    PAGE_SIZE, //
};
use crate::Machine;

const LEAF: u64 = PRESENT | RW | USER | ACCESSED | GUEST_KERNEL;

/// The p2m list of a dom0 while it is built, with the frames in the order of allocation.
struct List {
    frames: Vec<Mfn>,
    /// Those of the frames that are pages of the list, by address.
    pages: Vec<Mfn>,
    /// Large entries: level, address, first frame.
    large: Vec<(Level, u64, Mfn)>,
}

impl Machine {
    pub(super) fn build_dom0(
        &mut self,
        id: DomainId,
        region: &Region,
    ) -> Result<Built, BuildError> {
        let config = self.domain(id).config.clone();
        let nr_pages = config.nr_pages;
        let list_end = |va: u64| va + nr_pages * 8;
        if let Some(va) = config.own_list_va() {
            if region.start <= list_end(va) && va <= region.end {
                return Err(BuildError::Overlap);
            }
        }
        let chunk = region.nr_pages().next_power_of_two();
        let initrd = Pfn(chunk);
        let first_p2m_pfn = chunk + config.initrd_pages;
        if first_p2m_pfn > nr_pages {
            return Err(BuildError::TooSmall(first_p2m_pfn));
        }
        let first = self
            .allocate(id, chunk.trailing_zeros(), u64::MAX)
            .ok_or(BuildError::NoMemory)?;
        let mut frames: Vec<Mfn> = (first.0..first.0 + chunk).map(Mfn).collect();
        self.extend(id, &mut frames, first_p2m_pfn)?;

        let mut tree = self.build_region(region, &frames);
        tree.link_all(self);
        self.pin_and_load(id, tree.root);

        let mut built = Built {
            root: tree.root,
            list: Vec::new(),
            list_va: config.own_list_va().or(region.list).unwrap_or_default(),
            first_p2m_pfn: 0,
            nr_p2m_frames: 0,
            initrd,
            frames: Vec::new(),
        };
        if let Some(va) = config.own_list_va() {
            let list = self.build_list(id, &mut tree, va, list_end(va))?;
            built.first_p2m_pfn = first_p2m_pfn;
            built.nr_p2m_frames = list.frames.len() as u64;
            built.list = list.pages;
            frames.extend(list.frames);
        } else if let Some(va) = region.list {
            let page = region.pfn(va);
            built.list = frames[page..page + nr_pages.div_ceil(512) as usize].to_vec();
        }
        self.extend(id, &mut frames, nr_pages)?;
        built.frames = frames;
        Ok(built)
    }

    /// Allocates single frames until there are `count`.
    fn extend(
        &mut self,
        id: DomainId,
        frames: &mut Vec<Mfn>,
        count: u64,
    ) -> Result<(), BuildError> {
        while (frames.len() as u64) < count {
            frames.push(self.allocate(id, 0, u64::MAX).ok_or(BuildError::NoMemory)?);
        }
        Ok(())
    }

    /// Maps the initial region. Tables are taken when the first address needs them, the lowest
    /// level first.
    fn build_region(&mut self, region: &Region, frames: &[Mfn]) -> Tree {
        let mut free = frames[region.pfn(region.tables)..].iter().copied();
        let mut next = || free.next().expect("the region has room for its tables");
        let mut tree = Tree::new(self, next());
        for va in region.pages() {
            for level in [Level::L1, Level::L2, Level::L3] {
                if tree.get(level, va).is_none() {
                    tree.add(self, level, va, next());
                }
            }
            let flags = if region.is_table(va) {
                LEAF & !RW
            } else {
                LEAF
            };
            let leaf = Entry::new(frames[region.pfn(va)], flags);
            tree.set(self, Level::L1, va, leaf);
        }
        tree
    }

    /// Maps the p2m list with entries as large as they go (`setup_pv_physmap()`).
    fn build_list(
        &mut self,
        id: DomainId,
        tree: &mut Tree,
        start: u64,
        end: u64,
    ) -> Result<List, BuildError> {
        let config = &self.domain(id).config;
        let (nr_pages, largest) = (config.nr_pages, config.list_pages);
        let mut list = List {
            frames: Vec::new(),
            pages: Vec::new(),
            large: Vec::new(),
        };
        let mut va = start;
        while va < end {
            let tot = self.domain(id).tot_pages;
            let needed = tot + (end - va).div_ceil(PAGE_SIZE) + 3;
            if needed > nr_pages {
                return Err(BuildError::TooSmall(needed));
            }
            self.add_list_table(id, tree, &mut list, Level::L3, va)?;
            if largest == ListPages::OneGb && self.add_large(id, &mut list, Level::L3, va, end) {
                va += 1 << Level::L3.shift();
                continue;
            }
            self.add_list_table(id, tree, &mut list, Level::L2, va)?;
            if self.add_large(id, &mut list, Level::L2, va, end) {
                va += 1 << Level::L2.shift();
                continue;
            }
            self.add_list_table(id, tree, &mut list, Level::L1, va)?;
            let page = self.allocate(id, 0, u64::MAX).ok_or(BuildError::NoMemory)?;
            list.frames.push(page);
            list.pages.push(page);
            tree.set(self, Level::L1, va, Entry::new(page, LEAF | DIRTY));
            va += PAGE_SIZE;
        }
        self.activate_list(id, tree, &list);
        Ok(list)
    }

    fn add_list_table(
        &mut self,
        id: DomainId,
        tree: &mut Tree,
        list: &mut List,
        level: Level,
        va: u64,
    ) -> Result<(), BuildError> {
        if tree.get(level, va).is_none() {
            let table = self.allocate(id, 0, u64::MAX).ok_or(BuildError::NoMemory)?;
            list.frames.push(table);
            tree.add(self, level, va, table);
        }
        Ok(())
    }

    /// Maps as much of the list as one entry of `level` does, if that fits and there is memory.
    fn add_large(
        &mut self,
        id: DomainId,
        list: &mut List,
        level: Level,
        va: u64,
        end: u64,
    ) -> bool {
        let size = 1u64 << level.shift();
        if va % size != 0 || end < va + size {
            return false;
        }
        let Some(first) = self.allocate(id, level.shift() - 12, u64::MAX) else {
            return false;
        };
        let frames = first.0..first.0 + size / PAGE_SIZE;
        list.frames.extend(frames.clone().map(Mfn));
        list.pages.extend(frames.map(Mfn));
        list.large.push((level, va, first));
        true
    }

    /// Makes the tables of the list part of the live tree. They are not promoted: Xen refuses large
    /// entries that are not its own.
    fn activate_list(&mut self, id: DomainId, tree: &Tree, list: &List) {
        for &(level, va, first) in &list.large {
            let entry = Entry::new(first, LEAF | DIRTY | PSE);
            tree.set(self, level, va, entry);
        }
        for page in &list.pages {
            self.get_page_and_type(*page, id, PageType::Writable)
                .expect("the list is ordinary memory");
        }
        tree.link_all(self);
        for level in [Level::L1, Level::L2, Level::L3] {
            let tables: Vec<Mfn> = tree
                .tables(level)
                .filter(|&table| self.frame(table).type_count == 0)
                .collect();
            for table in tables {
                let frame = &mut self.frames[table.index()];
                debug_assert_eq!(frame.owner, Owner::Domain(id));
                frame.count += 1;
                frame.kind = PageType::Table(level);
                frame.type_count = 1;
                frame.validated = true;
            }
        }
    }
}
