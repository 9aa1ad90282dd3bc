// SPDX-License-Identifier: GPL-2.0-only

// Frames, addresses and entries of different kinds cannot be compared or added.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

fn main() {
    let _ = PFN == MFN;
    let _ = MFN == P2M_WORD;
    let _ = VADDR < PADDR;
    let _ = PADDR == MADDR;
    let _ = MACHINE_ENTRY == PSEUDO_ENTRY;
    let _ = PFN + MFN;
    let _ = VADDR + RAW;
    let _ = VADDR.index(LEVEL) < RAW;
}
