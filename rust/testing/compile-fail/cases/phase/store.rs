// SPDX-License-Identifier: GPL-2.0-only

// Run-time code cannot use the plain stores of start of day.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::early::phase::RunTime;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::table::Table;

fn set(now: RunTime, ptr: EntryPtr, table: Table) {
    ptr.early(now).store(MACHINE_ENTRY);
    table.unpinned_entry(now, INDEX).store(MACHINE_ENTRY);
}

fn main() {}
