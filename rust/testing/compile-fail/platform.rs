// SPDX-License-Identifier: GPL-2.0

//! The part of the backend's `platform` that is made of types only, with stand-ins for what it
//! names. There is no kernel and no table behind them.

#[path = "../../platform/phase.rs"]
mod phase;
#[path = "../../platform/pin_state.rs"]
mod pin_state;

pub(crate) use phase::*;
pub(crate) use pin_state::*;

use crate::entry::MachineEntry;
use crate::level::Index;

mod pages {
    pub(super) fn struct_pages_ready() -> bool {
        true
    }

    pub(super) fn set_struct_pages_ready() {}
}

/// A page of entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table;

impl Table {
    pub(crate) fn entry(self, index: Index) -> EntryPtr {
        let _ = index;
        EntryPtr
    }
}

/// A pointer to an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryPtr;

impl EntryPtr {
    pub(super) fn table(self) -> Table {
        Table
    }

    fn store(self, _: MachineEntry) {}
}

fn is_table_pinned(_: Table) -> bool {
    true
}
