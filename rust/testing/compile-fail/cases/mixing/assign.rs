// SPDX-License-Identifier: GPL-2.0-only

// All of these are numbers to the CPU, but none can be assigned to another.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Pfn = MFN;
const _: Mfn = PFN;
const _: Mfn = P2M_WORD;
const _: MachineEntry = PSEUDO_ENTRY;
const _: PseudoEntry = MACHINE_ENTRY;
const _: Maddr = PADDR;
const _: Paddr = VADDR;
const _: usize = MFN;

fn main() {}
