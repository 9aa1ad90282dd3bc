// SPDX-License-Identifier: GPL-2.0

// Who has looked may store; who has not leaves it to Xen.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::*;

fn by_hypercall(_: KnownSlot) {}

fn set(slot: Slot) {
    match slot.place() {
        Place::Private(slot) => slot.store(MACHINE_ENTRY),
        Place::Known(slot) => by_hypercall(slot),
    }
    by_hypercall(slot.known());
}

fn make(early: Early, table: Table) {
    table.private_entry(early, INDEX).store(MACHINE_ENTRY);
    table.entry(INDEX).early(early).store(MACHINE_ENTRY);
}

fn main() {}
