// SPDX-License-Identifier: GPL-2.0-only

// Modules that forbid unsafe code receive their phase as an argument and cannot create it.

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
