// SPDX-License-Identifier: GPL-2.0-only

// Run-time code cannot change what only start-of-day code may change.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::addr::{
    Paddr,
    Vaddr, //
};
use crate::platform::early::early_memory::{
    self,
    FreeArea, //
};
use crate::platform::early::phase::RunTime;
use crate::platform::early::start_of_day::{
    BootCell,
    StartInfo, //
};

fn change(now: RunTime, place: Paddr, page: Vaddr, cell: &'static BootCell<usize>) {
    early_memory::memblock_free(now, place, 1);
    early_memory::populate_level1(now, page);
    StartInfo::set_address(now, page);
    cell.set(now, 1);
    let _ = FreeArea::find(now, 1);
}

fn main() {}
