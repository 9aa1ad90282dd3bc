// SPDX-License-Identifier: GPL-2.0

// Who has no leave to sleep cannot get it from a caller, and leave is not copied.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::platform::*;

fn hook(caller: CallContext<'_>) {
    let _ = OwnedPage::new(caller);
    cond_resched();
    let _: &mut MaySleep = &mut caller.into();
}

fn copy(sleep: &mut MaySleep) {
    let clone: MaySleep = sleep.clone();
}

fn main() {}
