// SPDX-License-Identifier: GPL-2.0-only

// Neither a batch nor a caller outlives the permission to sleep that it comes from.

#![allow(unexpected_cfgs, unused)]

include!("../../host.rs");

use crate::multicall::*;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};

fn open() -> Batch<'static> {
    let sleep = MaySleep::here();
    Batch::open(Issue::Now, sleep.caller())
}

fn keep(sleep: &mut MaySleep) -> CallContext<'static> {
    sleep.caller()
}

fn take(sleep: &mut MaySleep) -> MaySleep {
    *sleep
}

fn main() {}
