// SPDX-License-Identifier: GPL-2.0-only

// Permission to sleep cannot be made from a caller, and cannot be copied.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context;
use crate::platform::paging::pages::OwnedPage;

fn hook(caller: CallContext<'_>) {
    let _ = OwnedPage::new(caller);
    context::cond_resched();
    let _: &mut MaySleep = &mut caller.into();
}

fn copy(sleep: &mut MaySleep) {
    let clone: MaySleep = sleep.clone();
}

fn main() {}
