// SPDX-License-Identifier: GPL-2.0-only

// The backend's own types, at the root of a crate as in the kernel, and a value of each. Cases
// include this file, because the types are visible within one crate only.

#[path = "../../addr.rs"]
mod addr;
#[path = "../../entry.rs"]
mod entry;
#[path = "../../level.rs"]
mod level;
#[path = "../../p2m_word.rs"]
mod p2m_word;
mod platform;

use crate::addr::{
    Maddr,
    Mfn,
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::level::{
    Depth,
    Index,
    Level, //
};
use crate::p2m_word::P2mWord;

const RAW: usize = 1;
const VADDR: Vaddr = Vaddr::new(RAW);
const INDEX: Index = Index::FIRST;
const PADDR: Paddr = Paddr::new(RAW);
const MADDR: Maddr = Maddr::new(RAW);
const PFN: Pfn = Pfn::new(RAW);
const MFN: Mfn = Mfn::new(RAW);
const P2M_WORD: P2mWord = P2mWord::from_raw(RAW);
const MACHINE_ENTRY: MachineEntry = MachineEntry::from_raw(RAW);
const PSEUDO_ENTRY: PseudoEntry = PseudoEntry::from_raw(RAW);
const PROTECTION: Protection = Protection::from_raw(RAW);
const LEVEL: Level = Level::L1;
