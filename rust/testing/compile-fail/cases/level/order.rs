// SPDX-License-Identifier: GPL-2.0-only

// Levels have no order: sources disagree on which end is the upper one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

fn main() {
    let _ = Level::L2 < Level::L3;
    let _ = Level::L2 + 1;
    let _ = Level::L4 == Depth::Four;
    let _: Level = 2;
}
