// SPDX-License-Identifier: GPL-2.0-only

//! Where things are in the region of addresses that is mapped at start of day.

use crate::entry::Level;
use crate::machine::domain::{
    DomainConfig,
    Kind, //
};
use crate::types::PAGE_SIZE;

/// The initial region: addresses of what is in it, in this order.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub(crate) start: u64,
    /// The p2m list, if it is not mapped elsewhere.
    pub(crate) list: Option<u64>,
    pub(crate) start_info: u64,
    pub(crate) xenstore: Option<u64>,
    pub(crate) console: Option<u64>,
    pub(crate) tables: u64,
    pub(crate) nr_tables: u64,
    pub(crate) stack: u64,
    pub(crate) end: u64,
}

/// Returns how many tables of `level` map `start..end`.
pub(crate) fn nr_tables(level: Level, start: u64, end: u64) -> u64 {
    // Uses the last address, since the region may reach the end of the address space.
    let span = level.shift() + 9;
    ((end - 1) >> span) - (start >> span) + 1
}

impl Region {
    pub(crate) fn new(config: &DomainConfig) -> Self {
        let start = config.virt_base;
        let mut next = start + config.image_pages * PAGE_SIZE;
        let mut take = |pages: u64| {
            let va = next;
            next += pages * PAGE_SIZE;
            va
        };
        let list_pages = config.nr_pages.div_ceil(512);
        let list = config.own_list_va().is_none().then(|| take(list_pages));
        let start_info = take(1);
        let has_rings = config.kind == Kind::DomU;
        let xenstore = has_rings.then(|| take(1));
        let console = has_rings.then(|| take(1));
        let tables = take(0);

        // Tables in the region may need further tables.
        let mut nr = 4;
        let (stack, end) = loop {
            let stack = tables + nr * PAGE_SIZE;
            let end = region_end(config, stack + PAGE_SIZE);
            let needed = 1 + [Level::L3, Level::L2, Level::L1]
                .into_iter()
                .map(|level| nr_tables(level, start, end))
                .sum::<u64>();
            if needed <= nr {
                break (stack, end);
            }
            nr = needed;
        };
        Self {
            start,
            list,
            start_info,
            xenstore,
            console,
            tables,
            nr_tables: nr,
            stack,
            end,
        }
    }

    /// Returns the number of the page at `va`.
    pub(crate) fn pfn(&self, va: u64) -> usize {
        ((va - self.start) / PAGE_SIZE) as usize
    }

    pub(crate) fn nr_pages(&self) -> u64 {
        (self.end - self.start) / PAGE_SIZE
    }

    /// Whether the page at `va` is one of the tables.
    pub(crate) fn is_table(&self, va: u64) -> bool {
        (self.tables..self.stack).contains(&va)
    }

    /// Returns the addresses of the region's pages.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u64> {
        (self.start..self.end).step_by(PAGE_SIZE as usize)
    }
}

fn region_end(config: &DomainConfig, used: u64) -> u64 {
    let align = 1 << config.region_align;
    let end = used.next_multiple_of(align);
    if end - used < config.region_padding {
        end + align
    } else {
        end
    }
}

impl DomainConfig {
    /// Returns where the p2m list is mapped apart from the region. The toolstack does so only
    /// below the kernel.
    pub(crate) fn own_list_va(&self) -> Option<u64> {
        let is_honoured = |va: &u64| self.kind == Kind::Dom0 || *va < self.virt_base;
        self.list_va.filter(is_honoured)
    }
}
