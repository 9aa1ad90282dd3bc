// SPDX-License-Identifier: GPL-2.0-only

// No conversion bypasses the p2m list, and none is implicit.

#![allow(unexpected_cfgs, unused)]

include!("../../types.rs");

fn main() {
    let _: Mfn = PFN.into();
    let _ = Pfn::from(MFN);
    let _: MachineEntry = PSEUDO_ENTRY.into();
    let _ = PFN as usize;
    let _: usize = VADDR.index(LEVEL);
    let _ = Index(512);
    let _ = Mfn(RAW);
    let _ = MachineEntry(RAW);
    let _ = MachineEntry::new(PFN, PROTECTION);
    let _ = PseudoEntry::new(MFN, PROTECTION);
    let _ = MACHINE_ENTRY.pfn();
    let _ = PSEUDO_ENTRY.mfn();
    let _ = P2M_WORD as usize;
    let _ = Maddr::in_frame(PFN, 0);
    let _ = PADDR.mfn();
}
