// SPDX-License-Identifier: GPL-2.0

// Which of two levels is the upper one depends on who is asked.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

fn main() {
    let _ = Level::L2 < Level::L3;
    let _ = Level::L2 + 1;
    let _ = Level::L4 == Depth::Four;
    let _: Level = 2;
}
