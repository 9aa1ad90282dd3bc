// SPDX-License-Identifier: GPL-2.0

// Modules that forbid unsafe code are given their phase and cannot claim it.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

use crate::platform::early::phase::{
    Early,
    RunTime, //
};

fn hook() {
    let _ = Early::new();
    let _ = RunTime::begin();
}

fn main() {}
