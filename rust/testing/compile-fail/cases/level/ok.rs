// SPDX-License-Identifier: GPL-2.0-only

// Code names a level and compares it for equality.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

fn main() {
    let _ = Level::L2 == Level::L2;
    let _ = Level::L2.below() == Some(Level::L1);
    let _ = Depth::Five.root() == Level::L5;
}
