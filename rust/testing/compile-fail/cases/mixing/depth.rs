// SPDX-License-Identifier: GPL-2.0

// Nothing but a number of levels is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Depth = RAW;
const _: Depth = VADDR;
const _: Depth = INDEX;
const _: Depth = PADDR;
const _: Depth = MADDR;
const _: Depth = PFN;
const _: Depth = MFN;
const _: Depth = P2M_WORD;
const _: Depth = P2M_ENTRY;
const _: Depth = MACHINE_ENTRY;
const _: Depth = PSEUDO_ENTRY;
const _: Depth = PROTECTION;
const _: Depth = LEVEL;

fn main() {}
