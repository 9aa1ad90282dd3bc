// SPDX-License-Identifier: GPL-2.0

// Nothing but a machine frame is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: Mfn = RAW;
const _: Mfn = VADDR;
const _: Mfn = INDEX;
const _: Mfn = PADDR;
const _: Mfn = MADDR;
const _: Mfn = PFN;
const _: Mfn = P2M_WORD;
const _: Mfn = P2M_ENTRY;
const _: Mfn = MACHINE_ENTRY;
const _: Mfn = PSEUDO_ENTRY;
const _: Mfn = PROTECTION;
const _: Mfn = LEVEL;
const _: Mfn = DEPTH;

fn main() {}
