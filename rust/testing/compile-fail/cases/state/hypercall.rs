// SPDX-License-Identifier: GPL-2.0-only

// No hypercall changes an entry of a table that is not pinned.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::{
    PinState,
    PinnedEntryPtr, //
};

fn by_hypercall(_: PinnedEntryPtr) {}

fn set(ptr: EntryPtr) {
    by_hypercall(ptr);
    if let PinState::Unpinned(ptr) = ptr.pin_state() {
        by_hypercall(ptr);
        let _ = ptr.assume_pinned();
    }
}

fn main() {}
