// SPDX-License-Identifier: GPL-2.0

// Nothing but a protection is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Protection = RAW;
const _: Protection = VADDR;
const _: Protection = INDEX;
const _: Protection = PADDR;
const _: Protection = MADDR;
const _: Protection = PFN;
const _: Protection = MFN;
const _: Protection = P2M_WORD;
const _: Protection = P2M_ENTRY;
const _: Protection = MACHINE_ENTRY;
const _: Protection = PSEUDO_ENTRY;
const _: Protection = LEVEL;
const _: Protection = DEPTH;

fn main() {}
