// SPDX-License-Identifier: GPL-2.0-only

//! Memory maps of machines that conflict with the memory where Xen put a domain.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xen_pv_mmu_host::fuzz;

fuzz_target!(|input: &[u8]| fuzz::memory_map(input));
