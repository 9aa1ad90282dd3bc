// SPDX-License-Identifier: GPL-2.0

// A state is the result of a look, and cannot be made up.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::*;

fn set(slot: Slot) {
    let _ = PrivateSlot(slot);
    let _ = PrivateSlot::new(slot);
    let _ = KnownSlot(slot);
}

fn main() {}
