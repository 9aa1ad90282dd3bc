// SPDX-License-Identifier: GPL-2.0

// Nothing but a virtual address is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Vaddr = RAW;
const _: Vaddr = INDEX;
const _: Vaddr = PADDR;
const _: Vaddr = MADDR;
const _: Vaddr = PFN;
const _: Vaddr = MFN;
const _: Vaddr = P2M_WORD;
const _: Vaddr = P2M_ENTRY;
const _: Vaddr = MACHINE_ENTRY;
const _: Vaddr = PSEUDO_ENTRY;
const _: Vaddr = PROTECTION;
const _: Vaddr = LEVEL;
const _: Vaddr = DEPTH;

fn main() {}
