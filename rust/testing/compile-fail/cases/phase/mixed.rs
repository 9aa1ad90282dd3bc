// SPDX-License-Identifier: GPL-2.0-only

// The proof of one phase is no proof of the other, and an `Option` proves neither.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::early::phase::{
    Early,
    RunTime, //
};

fn at_start_of_day(_: Early) {}

fn at_run_time(_: RunTime) {}

fn hook(early: Early, now: RunTime) {
    at_start_of_day(now);
    at_run_time(early);
    at_run_time(RunTime::now());
}

fn main() {}
