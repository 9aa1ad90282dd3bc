// SPDX-License-Identifier: GPL-2.0

// Nothing but an entry of the p2m list is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: P2mEntry = RAW;
const _: P2mEntry = VADDR;
const _: P2mEntry = INDEX;
const _: P2mEntry = PADDR;
const _: P2mEntry = MADDR;
const _: P2mEntry = PFN;
const _: P2mEntry = MFN;
const _: P2mEntry = P2M_WORD;
const _: P2mEntry = MACHINE_ENTRY;
const _: P2mEntry = PSEUDO_ENTRY;
const _: P2mEntry = PROTECTION;
const _: P2mEntry = LEVEL;
const _: P2mEntry = DEPTH;

fn main() {}
