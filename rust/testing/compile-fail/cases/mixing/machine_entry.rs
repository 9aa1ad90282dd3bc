// SPDX-License-Identifier: GPL-2.0

// Nothing but an entry with a machine frame is taken for one.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

const _: MachineEntry = RAW;
const _: MachineEntry = VADDR;
const _: MachineEntry = INDEX;
const _: MachineEntry = PADDR;
const _: MachineEntry = MADDR;
const _: MachineEntry = PFN;
const _: MachineEntry = MFN;
const _: MachineEntry = P2M_WORD;
const _: MachineEntry = P2M_ENTRY;
const _: MachineEntry = PSEUDO_ENTRY;
const _: MachineEntry = PROTECTION;
const _: MachineEntry = LEVEL;
const _: MachineEntry = DEPTH;

fn main() {}
