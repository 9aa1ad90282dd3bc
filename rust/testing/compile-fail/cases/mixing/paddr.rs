// SPDX-License-Identifier: GPL-2.0

// Nothing but a pseudo-physical address is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Paddr = RAW;
const _: Paddr = VADDR;
const _: Paddr = INDEX;
const _: Paddr = MADDR;
const _: Paddr = PFN;
const _: Paddr = MFN;
const _: Paddr = P2M_WORD;
const _: Paddr = P2M_ENTRY;
const _: Paddr = MACHINE_ENTRY;
const _: Paddr = PSEUDO_ENTRY;
const _: Paddr = PROTECTION;
const _: Paddr = LEVEL;
const _: Paddr = DEPTH;

fn main() {}
