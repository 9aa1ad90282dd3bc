// SPDX-License-Identifier: GPL-2.0-only

// An entry of a table cannot be stored to before its pin state is known.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::root::RootEntryPtr;
use crate::platform::paging::table::Table;

fn overwrite(table: Table, ptr: EntryPtr, root: RootEntryPtr) {
    table.set_entry(Index::FIRST, MachineEntry::EMPTY);
    table.entry(Index::FIRST).store(MachineEntry::EMPTY);
    ptr.assume_pinned().store(MachineEntry::EMPTY);
    root.store(MachineEntry::EMPTY);
}

fn main() {}
