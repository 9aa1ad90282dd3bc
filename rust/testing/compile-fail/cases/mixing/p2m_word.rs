// SPDX-License-Identifier: GPL-2.0

// Nothing but a word of the p2m list is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: P2mWord = RAW;
const _: P2mWord = VADDR;
const _: P2mWord = INDEX;
const _: P2mWord = PADDR;
const _: P2mWord = MADDR;
const _: P2mWord = PFN;
const _: P2mWord = MFN;
const _: P2mWord = P2M_ENTRY;
const _: P2mWord = MACHINE_ENTRY;
const _: P2mWord = PSEUDO_ENTRY;
const _: P2mWord = PROTECTION;
const _: P2mWord = LEVEL;
const _: P2mWord = DEPTH;

fn main() {}
