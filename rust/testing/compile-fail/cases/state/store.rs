// SPDX-License-Identifier: GPL-2.0-only

// An entry cannot be stored to if its table is pinned, or before its pin state is known.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::PinState;
use crate::platform::paging::table::Table;

fn set(ptr: EntryPtr, table: Table) {
    ptr.store(MACHINE_ENTRY);
    table.entry(INDEX).store(MACHINE_ENTRY);
    ptr.assume_pinned().store(MACHINE_ENTRY);
    match ptr.pin_state() {
        PinState::Pinned(ptr) => ptr.store(MACHINE_ENTRY),
        PinState::Unpinned(_) => (),
    }
}

fn main() {}
