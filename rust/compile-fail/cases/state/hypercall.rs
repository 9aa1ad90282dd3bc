// SPDX-License-Identifier: GPL-2.0

// Xen is not asked to change a table that it does not know.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::*;

fn by_hypercall(_: KnownSlot) {}

fn set(slot: Slot) {
    by_hypercall(slot);
    if let Place::Private(slot) = slot.place() {
        by_hypercall(slot);
        let _ = slot.known();
    }
}

fn main() {}
