// SPDX-License-Identifier: GPL-2.0

// What `host.rs` has, as a part to include at the root of the cases that must not compile: tools
// that look for modules want them in `host.rs` itself.

mod addr;
mod boot;
mod contiguous;
mod convert;
mod cr3;
mod direct_map;
mod entry;
mod fixmap;
mod grant;
#[path = "host/guest/mod.rs"]
mod guest;
mod level;
mod multicall;
mod nonram;
mod p2m;
mod p2m_word;
mod pin;
#[path = "host/platform/mod.rs"]
mod platform;
mod pte;
mod ptpage;
mod remap;
mod tlb;
mod upper;
mod walk;
