// SPDX-License-Identifier: GPL-2.0-only

// A caller that may sleep can do so before and after a batch, a lock or a non-preemptible section.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::multicall::*;
use crate::platform::cpu::call_context::{
    CallSite,
    MaySleep, //
};
use crate::platform::cpu::context::{
    self,
    PreemptOff, //
};
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::ExtOp;

fn work(mm: Mm, sleep: &mut MaySleep) {
    let page = OwnedPage::zeroed(sleep);
    {
        let mut batch = Batch::open(Issue::Now, sleep.caller());
        batch.ext(ExtOp::flush_local());
        tlb::flush_local(sleep.caller());
    }
    context::cond_resched(sleep);
    p2m::list::with_list(sleep.caller(), |list| list.last_frame);
    {
        let _preempt = PreemptOff::new(sleep.caller());
        mm.with_page_table_lock(sleep.caller(), || tlb::flush_local(sleep.caller()));
    }
    let _ = ptpage::create_user_root(mm, sleep);
}

fn entry_point(mm: Mm) {
    // SAFETY: The caller may sleep.
    work(mm, &mut unsafe { MaySleep::new(CallSite(1)) });
}

fn main() {}
