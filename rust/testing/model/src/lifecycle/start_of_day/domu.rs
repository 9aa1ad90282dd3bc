// SPDX-License-Identifier: GPL-2.0-only

//! The toolstack's builder of unprivileged domains.

use super::layout::{
    nr_tables,
    Region, //
};
use super::tables::{
    base,
    Tree, //
};
use super::{
    BuildError,
    Built, //
};
use crate::entry::{
    Entry,
    Level,
    ACCESSED,
    PRESENT,
    RW, //
};
use crate::machine::frame::PageType;
use crate::types::{
    DomainId,
    Mfn,
    Pfn,
    PAGE_SIZE, //
};
use crate::Machine;

/// The levels below the root in the order in which their tables are allocated.
const LOWER: [Level; 3] = [Level::L3, Level::L2, Level::L1];

const LEAF: u64 = PRESENT | RW | ACCESSED;

impl Machine {
    pub(super) fn build_domu(
        &mut self,
        id: DomainId,
        region: &Region,
    ) -> Result<Built, BuildError> {
        let config = self.domain(id).config.clone();
        let initrd = region.nr_pages();
        let list_pfn = initrd + config.initrd_pages;
        let list_pages = config.nr_pages.div_ceil(512);
        let own_list = config.own_list_va();
        let nr_list_tables = own_list.map_or(0, |va| {
            let end = va + list_pages * PAGE_SIZE;
            LOWER.into_iter().map(|l| nr_tables(l, va, end)).sum()
        });
        let nr_p2m_frames = own_list.map_or(0, |_| list_pages + nr_list_tables);
        let needed = list_pfn + nr_p2m_frames;
        if config.nr_pages < needed {
            return Err(BuildError::TooSmall(needed));
        }
        let frames: Vec<Mfn> = (0..config.nr_pages)
            .map(|_| self.allocate(id, 0, u64::MAX).ok_or(BuildError::NoMemory))
            .collect::<Result<_, _>>()?;

        let tables = &frames[region.pfn(region.tables)..];
        let mut tree = Tree::new(self, tables[0]);
        self.add_tables(&mut tree, region.start, region.end, &tables[1..]);
        for va in region.pages() {
            let flags = if region.is_table(va) {
                LEAF & !RW
            } else {
                LEAF
            };
            let leaf = Entry::new(frames[region.pfn(va)], flags);
            tree.set(self, Level::L1, va, leaf);
        }
        let list_va = own_list.or(region.list).unwrap_or_default();
        let first = own_list.map_or(region.list.map_or(0, |va| region.pfn(va)), |_| {
            list_pfn as usize
        });
        let list = frames[first..first + list_pages as usize].to_vec();
        if own_list.is_some() {
            let end = list_va + list_pages * PAGE_SIZE;
            let tables = &frames[first + list.len()..];
            self.add_tables(&mut tree, list_va, end, tables);
            for (page, &mfn) in list.iter().enumerate() {
                let va = list_va + page as u64 * PAGE_SIZE;
                tree.set(self, Level::L1, va, Entry::new(mfn, LEAF));
            }
        }
        tree.link_all(self);
        self.pin_and_load(id, tree.root);
        Ok(Built {
            root: tree.root,
            list,
            list_va,
            first_p2m_pfn: own_list.map_or(0, |_| list_pfn),
            nr_p2m_frames,
            initrd: Pfn(initrd),
            frames,
        })
    }

    /// Adds the tables for `start..end` that are not there yet, level by level.
    fn add_tables(&mut self, tree: &mut Tree, start: u64, end: u64, mut frames: &[Mfn]) {
        for level in LOWER {
            let span = 1u64 << (level.shift() + 9);
            for number in 0..nr_tables(level, start, end) {
                let va = base(level, start) + number * span;
                if tree.get(level, va).is_none() {
                    tree.add(self, level, va, frames[0]);
                    frames = &frames[1..];
                }
            }
        }
    }

    /// Pins the initial root, and has the first vCPU refer to it.
    pub(super) fn pin_and_load(&mut self, id: DomainId, root: Mfn) {
        let kind = PageType::Table(Level::L4);
        for _ in 0..2 {
            self.get_page_and_type(root, id, kind)
                .expect("the builder's tables are valid");
        }
        self.frames[root.index()].pinned = true;
        self.show_m2p(root, true);
    }
}
