// SPDX-License-Identifier: GPL-2.0

// Nothing but a level is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Level = RAW;
const _: Level = VADDR;
const _: Level = INDEX;
const _: Level = PADDR;
const _: Level = MADDR;
const _: Level = PFN;
const _: Level = MFN;
const _: Level = P2M_WORD;
const _: Level = P2M_ENTRY;
const _: Level = MACHINE_ENTRY;
const _: Level = PSEUDO_ENTRY;
const _: Level = PROTECTION;
const _: Level = DEPTH;

fn main() {}
