// SPDX-License-Identifier: GPL-2.0

// Nothing but a machine address is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Maddr = RAW;
const _: Maddr = VADDR;
const _: Maddr = INDEX;
const _: Maddr = PADDR;
const _: Maddr = PFN;
const _: Maddr = MFN;
const _: Maddr = P2M_WORD;
const _: Maddr = P2M_ENTRY;
const _: Maddr = MACHINE_ENTRY;
const _: Maddr = PSEUDO_ENTRY;
const _: Maddr = PROTECTION;
const _: Maddr = LEVEL;
const _: Maddr = DEPTH;

fn main() {}
