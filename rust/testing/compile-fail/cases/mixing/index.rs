// SPDX-License-Identifier: GPL-2.0

// Nothing but the number of an entry is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Index = RAW;
const _: Index = VADDR;
const _: Index = MFN;
const _: Index = PADDR;
const _: Index = MADDR;
const _: Index = PFN;
const _: Index = P2M_WORD;
const _: Index = P2M_ENTRY;
const _: Index = MACHINE_ENTRY;
const _: Index = PSEUDO_ENTRY;
const _: Index = PROTECTION;
const _: Index = LEVEL;
const _: Index = DEPTH;

fn main() {}
