// SPDX-License-Identifier: GPL-2.0-only

// While a batch is open, code cannot sleep, grow the p2m list or wait for other CPUs.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::addr::Pfn;
use crate::multicall::*;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::cpu::context;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::ExtOp;

fn allocate(sleep: &mut MaySleep) {
    let mut batch = Batch::open(Issue::LazyMmu, sleep.caller());
    let page = OwnedPage::new(sleep);
    batch.ext(ExtOp::flush_local());
}

fn schedule(sleep: &mut MaySleep) {
    let batch = Batch::open(Issue::Now, sleep.caller());
    context::cond_resched(sleep);
}

fn grow(sleep: &mut MaySleep) {
    let batch = Batch::open(Issue::Now, sleep.caller());
    p2m::grow::set(Pfn::new(1), P2mWord::MISSING, sleep);
}

fn give_user_root(mm: Mm, sleep: &mut MaySleep) {
    let batch = Batch::open(Issue::Now, sleep.caller());
    let _ = ptpage::create_user_root(mm, sleep);
}

fn wait_for_others(mm: Mm, sleep: &mut MaySleep) {
    let batch = Batch::open(Issue::Now, sleep.caller());
    pin::exit(mm, sleep);
}

fn main() {}
