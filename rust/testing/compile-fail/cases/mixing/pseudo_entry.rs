// SPDX-License-Identifier: GPL-2.0

// Nothing but an entry with a pseudo-physical frame is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: PseudoEntry = RAW;
const _: PseudoEntry = VADDR;
const _: PseudoEntry = INDEX;
const _: PseudoEntry = PADDR;
const _: PseudoEntry = MADDR;
const _: PseudoEntry = PFN;
const _: PseudoEntry = MFN;
const _: PseudoEntry = P2M_WORD;
const _: PseudoEntry = P2M_ENTRY;
const _: PseudoEntry = MACHINE_ENTRY;
const _: PseudoEntry = PROTECTION;
const _: PseudoEntry = LEVEL;
const _: PseudoEntry = DEPTH;

fn main() {}
