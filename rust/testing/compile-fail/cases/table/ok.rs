// SPDX-License-Identifier: GPL-2.0-only

// The owner of a page can write to it; run-time code can look up its `struct page`.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::addr::Pfn;
use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::early::phase::RunTime;
use crate::platform::paging::pages::{
    OwnedPage,
    TablePage, //
};

fn make(now: RunTime, sleep: &mut MaySleep) -> Option<TablePage> {
    let mut page = OwnedPage::zeroed(sleep)?;
    page.set_entry(Index::FIRST, MachineEntry::EMPTY);
    let table = page.leak();
    Some(TablePage::at(now, table))
}

fn is_pinned(now: RunTime, pfn: Pfn) -> bool {
    TablePage::of(now, pfn).is_pinned()
}

fn main() {}
