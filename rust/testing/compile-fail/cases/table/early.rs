// SPDX-License-Identifier: GPL-2.0-only

// Early code cannot name a `struct page`.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::addr::Pfn;
use crate::platform::early::phase::{
    Early,
    RunTime, //
};
use crate::platform::paging::pages::TablePage;
use crate::platform::paging::table::Table;

fn table(early: Early, table: Table, pfn: Pfn) {
    let _ = TablePage::of(early, pfn);
    let _ = TablePage::at(early, table);
    let _ = TablePage::of(RunTime::now(), pfn);
    let _ = TablePage(pfn);
}

fn main() {}
