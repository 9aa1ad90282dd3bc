// SPDX-License-Identifier: GPL-2.0-only

//! The backend's modules above `platform`: the kernel's own files.
//!
//! The root of a crate that has this module imports all of it, so that `crate::pte` is the same
//! module as in the kernel.

#[path = "../../.."]
mod files {
    pub(crate) mod addr;
    pub(crate) mod boot;
    pub(crate) mod contiguous;
    pub(crate) mod convert;
    pub(crate) mod cr3;
    pub(crate) mod direct_map;
    pub(crate) mod entry;
    pub(crate) mod fixmap;
    pub(crate) mod grant;
    pub(crate) mod level;
    pub(crate) mod multicall;
    pub(crate) mod nonram;
    pub(crate) mod p2m;
    pub(crate) mod p2m_word;
    pub(crate) mod pin;
    pub(crate) mod pte;
    pub(crate) mod ptpage;
    pub(crate) mod remap;
    pub(crate) mod suspend;
    pub(crate) mod tlb;
    pub(crate) mod upper;
    pub(crate) mod walk;
}

pub(crate) use files::*;
