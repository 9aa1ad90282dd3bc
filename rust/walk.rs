// SPDX-License-Identifier: GPL-2.0-only

//! Visits the pages that make up a page table, for any number of levels.
//!
//! One loop handles every depth. A table is visited after all tables below it, so the root is
//! visited last. Entries are copied, never borrowed, because the CPU may set accessed and dirty
//! bits at any time.

#![forbid(unsafe_code)]

use crate::addr::Vaddr;
use crate::entry::MachineEntry;
use crate::level::{
    Depth,
    Index,
    Level,
    ENTRIES, //
};
use core::ops::Range;

/// The tables from which the walker reads entries: those in memory, or those of a test.
///
/// Context: any, for all methods; nobody frees the tables meanwhile.
pub(crate) trait Tables {
    /// The name of a table.
    type Table: Copy;

    /// Returns entry `index` of `table`, of level `level`.
    fn entry(&self, table: Self::Table, level: Level, index: Index) -> MachineEntry;

    /// Returns the first present entry of `table` in `range`, and its index.
    fn next_present(
        &self,
        table: Self::Table,
        level: Level,
        range: Range<usize>,
    ) -> Option<(Index, MachineEntry)> {
        range
            .filter_map(Index::new)
            .map(|index| (index, self.entry(table, level, index)))
            .find(|(_, entry)| entry.is_present())
    }

    /// Returns the table that a present, non-leaf entry points to.
    fn target(&self, entry: MachineEntry) -> Option<Self::Table>;
}

/// The part of an address space that is walked.
#[derive(Clone, Debug)]
pub(crate) struct WalkRange {
    /// Number of levels.
    pub(crate) depth: Depth,
    /// The end of the walk, in bytes of virtual address from the start of the root table. Entries
    /// that map only addresses from there on are skipped.
    pub(crate) length: usize,
    /// Entries of the root table that belong to Xen.
    pub(crate) hole: Range<usize>,
}

impl WalkRange {
    /// Root entries of a tree of four levels that Xen owns: `0xffff800000000000` up to
    /// `0xffff880000000000` (Xen `public/arch-x86/xen-x86_64.h`, `HYPERVISOR_VIRT_START`).
    pub(crate) const XEN_HOLE: Range<usize> = 256..272;

    /// Returns the part of an address space of `depth` levels below `end`.
    ///
    /// `end` is exclusive and may be any canonical address; Xen's hole is left out.
    ///
    /// Context: any.
    pub(crate) fn below(depth: Depth, end: Vaddr) -> Self {
        let mask = (1usize << depth.address_bits()) - 1;
        // Xen has no guests with five levels, and on bare metal there is no hole.
        let hole = match depth {
            Depth::Four => Self::XEN_HOLE,
            Depth::Five => 0..0,
        };
        let length = (end.raw().wrapping_sub(1) & mask) + 1;
        Self {
            depth,
            length,
            hole,
        }
    }
}

/// A table that the walk visits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Visited<T> {
    /// The table.
    pub(crate) table: T,
    /// The level of the table.
    pub(crate) level: Level,
    /// Whether this is the root of the walk.
    pub(crate) is_root: bool,
}

/// Returns the entry that maps `vaddr` in the tree below `root`, and its level: 1 or, for a large
/// page, one above.
///
/// Returns `None` if nothing is mapped there.
///
/// Context: nobody frees the tables meanwhile.
#[inline(always)]
pub(crate) fn find<T: Tables>(
    tables: &T,
    root: T::Table,
    depth: Depth,
    vaddr: Vaddr,
) -> Option<(MachineEntry, Level)> {
    let mut table = root;
    let mut level = depth.root();

    loop {
        let entry = tables.entry(table, level, vaddr.index(level));
        if !entry.is_present() {
            return None;
        }
        match level.below() {
            Some(below) if !entry.is_huge() => {
                table = tables.target(entry)?;
                level = below;
            }
            _ => return Some((entry, level)),
        }
    }
}

/// A table that the walk is in.
#[derive(Clone, Copy)]
struct Step<T> {
    table: T,
    level: Level,
    /// The first address that the table maps, in bytes from the start of the root.
    base: usize,
    /// The entry to read next.
    next: usize,
    /// How many entries are read.
    end: usize,
}

impl<T> Step<T> {
    fn new(table: T, level: Level, base: usize, walk_range: &WalkRange) -> Self {
        let length = walk_range.length.saturating_sub(base);
        Self {
            table,
            level,
            base,
            next: 0,
            end: length.div_ceil(level.span()).min(ENTRIES),
        }
    }
}

/// Calls `visit` for every table below and including `root`.
///
/// Context: nobody frees the tables meanwhile. A table that is linked during the walk may or may
/// not be visited.
pub(crate) fn walk<T: Tables>(
    tables: &T,
    root: T::Table,
    walk_range: &WalkRange,
    mut visit: impl FnMut(Visited<T::Table>),
) {
    let mut path = [Step::new(root, walk_range.depth.root(), 0, walk_range); Depth::MAX];
    let mut at = 0;

    loop {
        let step = &mut path[at];
        let (level, is_root) = (step.level, at == 0);
        let Some((index, entry)) = tables.next_present(step.table, level, step.next..step.end)
        else {
            visit(Visited {
                table: step.table,
                level,
                is_root,
            });
            if is_root {
                return;
            }
            at -= 1;
            continue;
        };
        if is_root && walk_range.hole.contains(&index.raw()) {
            step.next = walk_range.hole.end;
            continue;
        }
        step.next = index.raw() + 1;

        // Tables of level 1 are visited when they are found. Their entries are not read.
        let Some(below) = level.below() else {
            continue;
        };
        if entry.is_huge() {
            continue;
        }
        let Some(table) = tables.target(entry) else {
            continue;
        };
        if below == Level::L1 {
            visit(Visited {
                table,
                level: below,
                is_root: false,
            });
            continue;
        }
        let base = step.base + (index.raw() << level.shift());
        at += 1;
        path[at] = Step::new(table, below, base, walk_range);
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_walk)]
mod tests {
    use super::*;
    use crate::addr::{
        Mfn,
        Pfn, //
    };
    use crate::entry::{
        bits,
        Protection, //
    };
    use kernel::prelude::*;

    /// Page tables that exist only in a list of their entries; table `n` is frame `n`.
    struct Synthetic {
        entries: KVec<(Pfn, Index, MachineEntry)>,
        tables: usize,
    }

    impl Synthetic {
        fn new() -> Self {
            Self {
                entries: KVec::new(),
                tables: 1,
            }
        }

        fn set(&mut self, table: Pfn, index: Index, entry: MachineEntry) -> Result {
            self.entries.push((table, index, entry), GFP_KERNEL)?;
            Ok(())
        }

        /// Maps the page at `vaddr`, or a large page of `leaf`.
        fn map(&mut self, depth: Depth, vaddr: Vaddr, leaf: Level) -> Result {
            let mut table = Pfn::new(0);
            let mut level = depth.root();
            while level != leaf {
                let index = vaddr.index(level);
                let entry = self.entry(table, level, index);
                let next = match self.target(entry) {
                    Some(next) if entry.is_present() => next,
                    _ => {
                        let next = Pfn::new(self.tables);
                        self.tables += 1;
                        self.set(table, index, pointer(next))?;
                        next
                    }
                };
                table = next;
                level = level.below().ok_or(EINVAL)?;
            }
            let flags = match leaf {
                Level::L1 => bits::PRESENT,
                _ => bits::PRESENT | bits::HUGE,
            };
            self.set(
                table,
                vaddr.index(leaf),
                MachineEntry::new(Mfn::new(0x5000), Protection::from_raw(flags)),
            )
        }

        /// Counts the tables without the walker: the root, and those that an entry within
        /// `walk_range` points to.
        fn expected(&self, walk_range: &WalkRange) -> usize {
            let mut found = 1;
            for table in 1..self.tables {
                if self.start_of(Pfn::new(table), walk_range).is_some() {
                    found += 1;
                }
            }
            found
        }

        /// Whether an entry of `upper` points to `lower`.
        fn is_above(&self, upper: Pfn, lower: Pfn) -> bool {
            self.entries
                .iter()
                .any(|(t, _, entry)| *t == upper && !entry.is_huge() && *entry == pointer(lower))
        }

        /// Returns the first address that a table maps, and its level, if the walk has to visit it.
        fn start_of(&self, table: Pfn, walk_range: &WalkRange) -> Option<(usize, Level)> {
            if table == Pfn::new(0) {
                return Some((0, walk_range.depth.root()));
            }
            let (parent, index, _) = self
                .entries
                .iter()
                .find(|(_, _, entry)| !entry.is_huge() && *entry == pointer(table))?;
            let (base, level) = self.start_of(*parent, walk_range)?;
            let start = base + (index.raw() << level.shift());
            let is_root = *parent == Pfn::new(0);
            if start >= walk_range.length || is_root && walk_range.hole.contains(&index.raw()) {
                return None;
            }
            Some((start, level.below()?))
        }
    }

    fn pointer(table: Pfn) -> MachineEntry {
        MachineEntry::new(
            Mfn::new(table.raw()),
            Protection::from_raw(bits::KERNEL_TABLE),
        )
    }

    impl Tables for Synthetic {
        type Table = Pfn;

        fn entry(&self, table: Pfn, _level: Level, index: Index) -> MachineEntry {
            self.entries
                .iter()
                .find(|(t, i, _)| *t == table && *i == index)
                .map_or(MachineEntry::EMPTY, |(_, _, entry)| *entry)
        }

        fn target(&self, entry: MachineEntry) -> Option<Pfn> {
            Some(Pfn::new(entry.mfn().raw()))
        }
    }

    /// Walks, and checks the number of tables and that each comes after those below it.
    fn visits_as_expected(tables: &Synthetic, walk_range: &WalkRange) -> Result<bool> {
        let mut visited = KVec::new();
        let mut result = Ok(());
        walk(tables, Pfn::new(0), walk_range, |table| {
            if let Err(error) = visited.push(table, GFP_KERNEL) {
                result = Err(error);
            }
        });
        result?;
        let root_is_last = visited.last().is_some_and(|table| table.is_root);
        let one_root = visited.iter().filter(|table| table.is_root).count() == 1;
        let children_first = visited.iter().enumerate().all(|(at, table)| {
            let mut later = visited[at + 1..].iter();
            !later.any(|later| tables.is_above(table.table, later.table))
        });
        let no_twice = visited.iter().enumerate().all(|(at, table)| {
            !visited[at + 1..]
                .iter()
                .any(|later| later.table == table.table)
        });
        let right_levels = visited.iter().all(|table| {
            tables
                .start_of(table.table, walk_range)
                .is_some_and(|(_, level)| level == table.level)
        });
        Ok(root_is_last
            && one_root
            && children_first
            && no_twice
            && right_levels
            && visited.len() == tables.expected(walk_range))
    }

    const DEPTHS: [Depth; 2] = [Depth::Four, Depth::Five];

    fn user_half(depth: Depth) -> WalkRange {
        WalkRange::below(depth, Vaddr::new(1 << (depth.address_bits() - 1)))
    }

    fn everything(depth: Depth) -> WalkRange {
        WalkRange::below(depth, Vaddr::new(0xffff_ffff_ff80_0000))
    }

    #[test]
    fn empty_tree_has_a_root_only() -> Result {
        for depth in DEPTHS {
            let tables = Synthetic::new();
            assert!(visits_as_expected(&tables, &user_half(depth))?);
            assert_eq!(tables.expected(&user_half(depth)), 1);
        }
        Ok(())
    }

    #[test]
    fn one_page_has_a_table_at_each_level() -> Result {
        for depth in DEPTHS {
            let mut tables = Synthetic::new();
            tables.map(depth, Vaddr::new(0x7f00_1234_5000), Level::L1)?;
            assert!(visits_as_expected(&tables, &user_half(depth))?);
            assert_eq!(tables.tables, depth.root().number() as usize);
        }
        Ok(())
    }

    #[test]
    fn pages_on_both_sides_of_each_boundary() -> Result {
        for depth in DEPTHS {
            for boundary in [21, 30, 39] {
                let mut tables = Synthetic::new();
                tables.map(depth, Vaddr::new((1 << boundary) - 4096), Level::L1)?;
                tables.map(depth, Vaddr::new(1 << boundary), Level::L1)?;
                assert!(visits_as_expected(&tables, &user_half(depth))?);
            }
        }
        Ok(())
    }

    #[test]
    fn large_pages_are_no_tables() -> Result {
        for depth in DEPTHS {
            let mut tables = Synthetic::new();
            tables.map(depth, Vaddr::new(0x4000_0000), Level::L2)?;
            tables.map(depth, Vaddr::new(0x80_0000_0000), Level::L3)?;
            assert!(visits_as_expected(&tables, &user_half(depth))?);
        }
        Ok(())
    }

    #[test]
    fn end_is_exclusive() -> Result {
        for depth in DEPTHS {
            let end = 1 << (depth.address_bits() - 1);
            let mut tables = Synthetic::new();
            tables.map(depth, Vaddr::new(end - 4096), Level::L1)?;
            let inside = tables.tables;
            tables.map(depth, Vaddr::new(end), Level::L1)?;
            assert!(tables.tables > inside);
            assert_eq!(tables.expected(&user_half(depth)), inside);
            assert!(visits_as_expected(&tables, &user_half(depth))?);
        }
        Ok(())
    }

    #[test]
    fn one_byte_below_the_end_is_enough() -> Result {
        for depth in DEPTHS {
            // The page is not in the first table of any level.
            let levels = [Level::L4, Level::L3, Level::L2];
            let start: usize = levels.iter().map(|level| 3 * level.span()).sum();
            let mut tables = Synthetic::new();
            tables.map(depth, Vaddr::new(start), Level::L1)?;
            let inside = tables.tables;
            tables.map(depth, Vaddr::new(start + Level::L2.span()), Level::L1)?;
            let walk_range = WalkRange::below(depth, Vaddr::new(start + 1));
            assert_eq!(tables.expected(&walk_range), inside);
            assert!(visits_as_expected(&tables, &walk_range)?);
        }
        Ok(())
    }

    #[test]
    fn slots_of_xen_are_left_alone() -> Result {
        let depth = Depth::Four;
        let mut tables = Synthetic::new();
        tables.map(depth, Vaddr::new(0xffff_8800_0000_0000), Level::L1)?;
        let inside = tables.tables;
        tables.map(depth, Vaddr::new(0xffff_8000_0000_0000), Level::L1)?;
        tables.map(depth, Vaddr::new(0xffff_87ff_ffff_f000), Level::L1)?;
        assert_eq!(tables.expected(&everything(depth)), inside);
        assert!(visits_as_expected(&tables, &everything(depth))?);
        Ok(())
    }

    #[test]
    fn last_page_below_the_end_is_found() -> Result {
        for depth in DEPTHS {
            let last = Vaddr::new(0xffff_ffff_ff7f_f000);
            let mut tables = Synthetic::new();
            tables.map(depth, last, Level::L1)?;
            assert!(visits_as_expected(&tables, &everything(depth))?);
            assert_eq!(tables.expected(&everything(depth)), tables.tables);
            let found = find(&tables, Pfn::new(0), depth, last);
            assert!(found.is_some_and(|(_, level)| level == Level::L1));
            assert!(find(&tables, Pfn::new(0), depth, last.add(4096)).is_none());
        }
        Ok(())
    }
}
