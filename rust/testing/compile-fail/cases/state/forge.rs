// SPDX-License-Identifier: GPL-2.0-only

// The pin state of an entry comes from `pin_state()` and cannot be made up.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pin_state::{
    PinnedEntryPtr,
    UnpinnedEntryPtr, //
};

fn set(ptr: EntryPtr) {
    let _ = UnpinnedEntryPtr(ptr);
    let _ = UnpinnedEntryPtr::new(ptr);
    let _ = PinnedEntryPtr(ptr);
}

fn main() {}
