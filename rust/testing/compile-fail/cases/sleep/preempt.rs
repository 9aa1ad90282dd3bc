// SPDX-License-Identifier: GPL-2.0-only

// While preemption is off, code cannot sleep, and the guard cannot outlive its caller.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::platform::cpu::call_context::MaySleep;
use crate::platform::cpu::context::{
    self,
    PreemptOff, //
};
use crate::platform::paging::pages::OwnedPage;

fn allocate(sleep: &mut MaySleep) {
    let _preempt = PreemptOff::new(sleep.caller());
    let page = OwnedPage::new(sleep);
}

fn schedule(sleep: &mut MaySleep) {
    let _preempt = PreemptOff::new(sleep.caller());
    context::cond_resched(sleep);
}

fn keep(sleep: &mut MaySleep) -> PreemptOff<'static> {
    PreemptOff::new(sleep.caller())
}

fn nobody() {
    let _preempt = PreemptOff::new();
}

fn main() {}
