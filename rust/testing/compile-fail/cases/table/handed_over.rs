// SPDX-License-Identifier: GPL-2.0-only

// A page that has become a table, or was handed over as one, cannot be written as ordinary memory.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::paging::root::Root;

fn leak(mut page: OwnedPage) {
    let table = page.leak();
    page.set_entry(Index::FIRST, MachineEntry::EMPTY);
}

fn hand_over(root: Root, mut page: OwnedPage) {
    let _ = root.set_user_root(page);
    page.fill(|_| 0);
}

fn main() {}
