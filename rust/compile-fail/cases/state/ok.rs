// SPDX-License-Identifier: GPL-2.0

// Who has looked may store; who has not leaves it to Xen.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::*;

fn by_hypercall(_: PinnedEntryPtr) {}

fn set(ptr: EntryPtr) {
    match ptr.place() {
        Place::Private(ptr) => ptr.store(MACHINE_ENTRY),
        Place::Known(ptr) => by_hypercall(ptr),
    }
    by_hypercall(ptr.known());
}

fn make(early: Early, table: Table) {
    table.private_entry(early, INDEX).store(MACHINE_ENTRY);
    table.entry(INDEX).early(early).store(MACHINE_ENTRY);
}

fn main() {}
