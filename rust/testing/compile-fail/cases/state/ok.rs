// SPDX-License-Identifier: GPL-2.0-only

// An entry of an unpinned table can be stored to; without a check, a hypercall changes the entry.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::early::phase::Early;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::{
    PinState,
    PinnedEntryPtr, //
};
use crate::platform::paging::table::Table;

fn by_hypercall(_: PinnedEntryPtr) {}

fn set(ptr: EntryPtr) {
    match ptr.pin_state() {
        PinState::Unpinned(ptr) => ptr.store(MACHINE_ENTRY),
        PinState::Pinned(ptr) => by_hypercall(ptr),
    }
    by_hypercall(ptr.assume_pinned());
}

fn make(early: Early, table: Table) {
    table.unpinned_entry(early, INDEX).store(MACHINE_ENTRY);
    table.entry(INDEX).early(early).store(MACHINE_ENTRY);
}

fn main() {}
