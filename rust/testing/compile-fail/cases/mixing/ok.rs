// SPDX-License-Identifier: GPL-2.0-only

// Each value has its own type.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: usize = RAW;
const _: Vaddr = VADDR;
const _: Index = INDEX;
const _: Paddr = PADDR;
const _: Maddr = MADDR;
const _: Pfn = PFN;
const _: Mfn = MFN;
const _: P2mWord = P2M_WORD;
const _: MachineEntry = MACHINE_ENTRY;
const _: PseudoEntry = PSEUDO_ENTRY;
const _: Protection = PROTECTION;
const _: Level = LEVEL;

fn main() {}
