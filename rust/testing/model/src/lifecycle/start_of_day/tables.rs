// SPDX-License-Identifier: GPL-2.0-only

//! Page tables built in memory that Xen does not know as tables yet.

use crate::entry::{
    Entry,
    Level,
    ACCESSED,
    DIRTY,
    PRESENT,
    RW,
    USER, //
};
use crate::types::Mfn;
use crate::Machine;
use std::collections::BTreeMap;

/// Flags of entries above level 1.
const UPPER: u64 = PRESENT | RW | USER | ACCESSED | DIRTY;

/// A tree of tables: the frame of each by its level and the first address it maps.
pub(crate) struct Tree {
    pub(crate) root: Mfn,
    tables: BTreeMap<(Level, u64), Mfn>,
}

/// Returns the first address that is mapped by the table of `level` for `va`.
pub(crate) fn base(level: Level, va: u64) -> u64 {
    match level {
        Level::L4 => 0,
        level => va >> (level.shift() + 9) << (level.shift() + 9),
    }
}

impl Tree {
    pub(crate) fn new(machine: &mut Machine, root: Mfn) -> Self {
        machine.frames[root.index()].fill(0);
        Self {
            root,
            tables: BTreeMap::from([((Level::L4, 0), root)]),
        }
    }

    pub(crate) fn get(&self, level: Level, va: u64) -> Option<Mfn> {
        self.tables.get(&(level, base(level, va))).copied()
    }

    /// Adds an empty table of `level` for `va`.
    pub(crate) fn add(&mut self, machine: &mut Machine, level: Level, va: u64, table: Mfn) {
        machine.frames[table.index()].fill(0);
        self.tables.insert((level, base(level, va)), table);
    }

    /// Links every table into the one above it.
    pub(crate) fn link_all(&self, machine: &mut Machine) {
        for (&(level, va), &table) in &self.tables {
            let above = Level::DOWN.into_iter().find(|up| up.below() == Some(level));
            let Some(above) = above else { continue };
            let parent = self
                .get(above, va)
                .expect("tables are added with their parents");
            let entry = Entry::new(table, UPPER);
            machine.frames[parent.index()].set_word(above.index(va), entry.0);
        }
    }

    /// Sets the entry of `level` that maps `va`.
    pub(crate) fn set(&self, machine: &mut Machine, level: Level, va: u64, entry: Entry) {
        let table = self
            .get(level, va)
            .expect("there is a table for each address");
        machine.frames[table.index()].set_word(level.index(va), entry.0);
    }

    /// Returns the tables of `level`.
    pub(crate) fn tables(&self, level: Level) -> impl Iterator<Item = Mfn> + '_ {
        let of_level = move |(&(l, _), _): &(&(Level, u64), &Mfn)| l == level;
        self.tables.iter().filter(of_level).map(|(_, &table)| table)
    }
}
