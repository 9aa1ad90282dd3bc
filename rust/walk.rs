// SPDX-License-Identifier: GPL-2.0

//! Visits the pages that make up a page table, for any number of levels.
//!
//! One loop serves every depth. A table is visited after everything below it, the root last, so
//! that a visitor can take the root as its cue to finish. Entries are copied, never borrowed: the
//! CPU may set accessed and dirty bits at any time.

use crate::addr::{
    Vaddr,
    ENTRIES, //
};
use crate::entry::MachineEntry;
use crate::frame::Pfn;
use crate::level::{
    Depth,
    Level, //
};
use core::ops::Range;

/// Where the walker reads entries from: the kernel's own tables, or those of a test.
pub(crate) trait Tables {
    /// Returns entry `index` of the table in `table`, of level `level`.
    fn entry(&self, table: Pfn, level: Level, index: usize) -> MachineEntry;

    /// Returns the table that a present, non-leaf entry points to.
    fn target(&self, entry: MachineEntry) -> Option<Pfn>;
}

/// Which part of an address space is walked.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Number of levels.
    pub(crate) depth: Depth,
    /// Bytes of virtual address from the start of the root table to the end of the walk: entries
    /// that map only addresses from there on are not looked at.
    pub(crate) length: usize,
    /// Entries of the root table that do not belong to the kernel: Xen's own slots.
    pub(crate) hole: Range<usize>,
}

impl Geometry {
    /// Root entries of a tree of four levels that Xen owns: `0xffff800000000000` up to
    /// `0xffff880000000000` (Xen `public/arch-x86/xen-x86_64.h`, `HYPERVISOR_VIRT_START`).
    pub(crate) const XEN_HOLE: Range<usize> = 256..272;

    /// Returns the part of an address space of `depth` levels below `end`.
    ///
    /// `end` is exclusive and may be any canonical address; Xen's hole is left out.
    pub(crate) fn below(depth: Depth, end: Vaddr) -> Self {
        let mask = (1usize << depth.address_bits()) - 1;
        // In a tree of five levels the hole is a part of the last root entry's subtree; Xen has no
        // such guests, and natively there is no hole.
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

/// A page that is part of a page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TableFrame {
    /// The frame that holds the table.
    pub(crate) pfn: Pfn,
    /// The level of the table.
    pub(crate) level: Level,
    /// Whether this is the root of the walk.
    pub(crate) is_root: bool,
}

#[derive(Clone, Copy)]
struct Step {
    table: Pfn,
    level: Level,
    /// Distance of the first address that the table maps from the start of the root.
    base: usize,
    next: usize,
}

/// Calls `visit` for every table below and including `root`.
///
/// Context: whatever keeps the tables from being freed; the tables may change meanwhile only
/// where the caller does not care whether a table added now is visited.
pub(crate) fn walk<T: Tables>(
    tables: &T,
    root: Pfn,
    geometry: &Geometry,
    mut visit: impl FnMut(TableFrame),
) {
    let mut path = [Step {
        table: root,
        level: geometry.depth.root(),
        base: 0,
        next: 0,
    }; Depth::MAX];
    let mut at = 0;

    loop {
        let step = path[at];
        let base = step.base + (step.next << step.level.shift());

        if step.next == ENTRIES || base >= geometry.length {
            visit(TableFrame {
                pfn: step.table,
                level: step.level,
                is_root: at == 0,
            });
            if at == 0 {
                return;
            }
            at -= 1;
            continue;
        }
        path[at].next += 1;

        if at == 0 && geometry.hole.contains(&step.next) {
            continue;
        }
        let Some(below) = step.level.below() else {
            // Tables of level 1 are visited when found, never entered.
            continue;
        };
        let entry = tables.entry(step.table, step.level, step.next);
        if !entry.is_present() || entry.is_huge() {
            continue;
        }
        let Some(table) = tables.target(entry) else {
            continue;
        };
        if below == Level::L1 {
            visit(TableFrame {
                pfn: table,
                level: below,
                is_root: false,
            });
            continue;
        }
        at += 1;
        path[at] = Step {
            table,
            level: below,
            base,
            next: 0,
        };
    }
}
