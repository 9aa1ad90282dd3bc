// SPDX-License-Identifier: GPL-2.0-only

// Functions of a phase take the proof of that phase.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::early::phase::{
    Early,
    RunTime, //
};

fn at_start_of_day(_: Early) {}

fn at_run_time(_: RunTime) {}

fn hook(early: Early) {
    at_start_of_day(early);
    if let Some(now) = RunTime::now() {
        at_run_time(now);
    }
}

fn main() {
    // SAFETY: There is no other phase here.
    hook(unsafe { Early::new() });
}
