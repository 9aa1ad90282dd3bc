// SPDX-License-Identifier: GPL-2.0-only

// While a lock is held, code cannot sleep, grow the p2m list or wait for other CPUs.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::addr::Pfn;
use crate::p2m::list::with_list;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::cpu::context;
use crate::platform::kernel::mm::{
    self,
    Mm, //
};
use crate::platform::paging::pages::OwnedPage;

fn allocate(sleep: &mut MaySleep) {
    with_list(sleep.caller(), |list| OwnedPage::new(sleep));
}

fn grow(sleep: &mut MaySleep) {
    with_list(sleep.caller(), |list| {
        p2m::grow::set(Pfn::new(1), P2mWord::MISSING, sleep);
    });
}

fn schedule(mm: Mm, sleep: &mut MaySleep) {
    mm.with_page_table_lock(sleep.caller(), || context::cond_resched(sleep));
}

fn wait_for_others(mm: Mm, sleep: &mut MaySleep) {
    mm::for_each_root(sleep.caller(), |_| pin::exit(mm, sleep));
}

fn main() {}
