// SPDX-License-Identifier: GPL-2.0-only

// Modules that forbid unsafe code receive both as arguments and cannot create either.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::platform::cpu::call_context::{
    CallContext,
    CallSite,
    MaySleep, //
};

fn hook() {
    let _ = CallContext::new(CallSite(1));
    let _ = MaySleep::new(CallSite(1));
}

fn main() {}
