// SPDX-License-Identifier: GPL-2.0-only

//! The walker, in random trees of four and five levels.

use crate::addr::{
    Mfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection, //
};
use crate::level::{
    Depth,
    Index,
    Level,
    ENTRIES,
    PAGE_SIZE, //
};
use crate::properties::processes::config;
use crate::properties::regressions;
use crate::walk::{
    find,
    walk,
    Tables, //
    WalkRange,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Page tables; the frame number of a table is its index.
struct Tree {
    depth: Depth,
    tables: Vec<BTreeMap<usize, MachineEntry>>,
    /// The level of each table, and the first address that it maps.
    parts: Vec<(Level, usize)>,
}

/// Returns the frame that is mapped at `address`: frame numbers have 40 bits.
fn frame_for(address: usize) -> Mfn {
    Mfn::new((address / PAGE_SIZE) % (1 << 40))
}

impl Tree {
    fn new(depth: Depth) -> Self {
        Self {
            depth,
            tables: vec![BTreeMap::new()],
            parts: vec![(depth.root(), 0)],
        }
    }

    /// Maps `address` by an entry of level `leaf`; returns whether nothing else was in the way.
    fn map(&mut self, address: usize, leaf: Level) -> bool {
        let (mut table, mut level) = (0, self.depth.root());
        while let Some(below) = level.below().filter(|_| level != leaf) {
            let index = Vaddr::new(address).index(level).raw();
            let next = self.tables.len();
            let flags = Protection::from_raw(bits::KERNEL_TABLE);
            let entry = *self.tables[table]
                .entry(index)
                .or_insert(MachineEntry::new(Mfn::new(next), flags));
            if entry.is_huge() {
                return false;
            }
            table = entry.mfn().raw();
            if table == next {
                self.tables.push(BTreeMap::new());
                self.parts.push((below, address & !(level.span() - 1)));
            }
            level = below;
        }
        let huge = if leaf == Level::L1 { 0 } else { bits::HUGE };
        let flags = Protection::from_raw(bits::PRESENT | huge);
        let index = Vaddr::new(address).index(leaf).raw();
        let entry = MachineEntry::new(frame_for(address), flags);
        let is_free = !self.tables[table].contains_key(&index);
        self.tables[table].entry(index).or_insert(entry);
        is_free
    }

    /// Whether a walk has to visit a table.
    fn is_within(&self, table: usize, walk_range: &WalkRange) -> bool {
        let (_, start) = self.parts[table];
        let slot = start / self.depth.root().span();
        table == 0 || start < walk_range.length && !walk_range.hole.contains(&slot)
    }
}

impl Tables for Tree {
    type Table = usize;

    fn entry(&self, table: usize, _: Level, index: Index) -> MachineEntry {
        let entry = self.tables[table].get(&index.raw());
        entry.copied().unwrap_or(MachineEntry::EMPTY)
    }

    fn target(&self, entry: MachineEntry) -> Option<usize> {
        Some(entry.mfn().raw())
    }
}

/// A mapping: the address without its sign, and the level of the entry.
fn mappings(depth: Depth) -> impl Strategy<Value = Vec<(usize, Level)>> {
    let span = depth.root().span();
    let page = prop_oneof![0..ENTRIES, 0..ENTRIES * ENTRIES * 2];
    let slot = prop_oneof![0..2usize, 250..280usize, 0..ENTRIES];
    let address = (slot, page).prop_map(move |(slot, page)| slot * span + page * PAGE_SIZE);
    let leaf = prop_oneof![8 => Just(Level::L1), 1 => Just(Level::L2), 1 => Just(Level::L3)];
    prop::collection::vec((address, leaf), 0..40)
}

/// Returns a depth, what is mapped, and the end of a walk.
fn trees() -> impl Strategy<Value = (Depth, Vec<(usize, Level)>, usize)> {
    let depth = prop_oneof![Just(Depth::Four), Just(Depth::Five)];
    depth.prop_flat_map(|depth| {
        let bytes = 1usize << depth.address_bits();
        let borders = (1..=ENTRIES).prop_map(move |slots| slots * depth.root().span());
        (
            Just(depth),
            mappings(depth),
            prop_oneof![1..=bytes, borders],
        )
    })
}

proptest! {
    #![proptest_config(config(
        256,
        regressions!("walk"),
    ))]

    #[test]
    fn walks_visit_each_table_of_their_range_once((depth, mappings, end) in trees()) {
        let mut tree = Tree::new(depth);
        for (address, leaf) in mappings {
            tree.map(address, leaf);
        }
        let walk_range = WalkRange::below(depth, Vaddr::new(end));
        let mut order = Vec::new();
        walk(&tree, 0, &walk_range, |visited| {
            order.push((visited.table, visited.level, visited.is_root));
        });

        let mut visited: Vec<_> = order.iter().map(|(table, ..)| *table).collect();
        prop_assert_eq!(visited.last(), Some(&0));
        for (table, level, is_root) in order {
            prop_assert_eq!((level, is_root), (tree.parts[table].0, table == 0));
        }
        for (above, entries) in tree.tables.iter().enumerate() {
            let place = |table| visited.iter().position(|other| *other == table);
            let below = entries.values().filter(|_| tree.parts[above].0 != Level::L1);
            for entry in below.filter(|entry| !entry.is_huge()) {
                let (lower, upper) = (place(entry.mfn().raw()), place(above));
                prop_assert!(lower.is_none() || lower < upper, "{lower:?}, {upper:?}");
            }
        }
        visited.sort_unstable();
        let expected = (0..tree.tables.len()).filter(|table| tree.is_within(*table, &walk_range));
        prop_assert_eq!(visited, expected.collect::<Vec<_>>());
    }

    #[test]
    fn addresses_lead_to_what_was_mapped((depth, mappings, _) in trees()) {
        let mut tree = Tree::new(depth);
        let mut mapped = BTreeMap::new();
        for &(address, leaf) in &mappings {
            if tree.map(address, leaf) {
                mapped.insert(address & !(leaf.span() - 1), (address, leaf));
            }
        }
        for (address, leaf) in mapped.into_values() {
            let found = find(&tree, 0, depth, Vaddr::new(address));
            let found = found.map(|(entry, level)| (entry.mfn().raw(), level));
            prop_assert_eq!(found, Some((frame_for(address).raw(), leaf)));
        }
    }
}
