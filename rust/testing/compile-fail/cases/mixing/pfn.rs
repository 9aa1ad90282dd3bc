// SPDX-License-Identifier: GPL-2.0

// Nothing but a pseudo-physical frame is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Pfn = RAW;
const _: Pfn = VADDR;
const _: Pfn = INDEX;
const _: Pfn = PADDR;
const _: Pfn = MADDR;
const _: Pfn = MFN;
const _: Pfn = P2M_WORD;
const _: Pfn = P2M_ENTRY;
const _: Pfn = MACHINE_ENTRY;
const _: Pfn = PSEUDO_ENTRY;
const _: Pfn = PROTECTION;
const _: Pfn = LEVEL;
const _: Pfn = DEPTH;

fn main() {}
