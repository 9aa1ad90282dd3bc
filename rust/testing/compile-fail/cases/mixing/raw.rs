// SPDX-License-Identifier: GPL-2.0

// Nothing but a bare number is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: usize = VADDR;
const _: usize = INDEX;
const _: usize = PADDR;
const _: usize = MADDR;
const _: usize = PFN;
const _: usize = MFN;
const _: usize = P2M_WORD;
const _: usize = P2M_ENTRY;
const _: usize = MACHINE_ENTRY;
const _: usize = PSEUDO_ENTRY;
const _: usize = PROTECTION;
const _: usize = LEVEL;
const _: usize = DEPTH;

fn main() {}
