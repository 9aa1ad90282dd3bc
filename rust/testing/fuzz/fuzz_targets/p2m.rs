// SPDX-License-Identifier: GPL-2.0-only

//! Changes of the p2m list, with failures.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xen_pv_mmu_host::fuzz;

fuzz_target!(|input: &[u8]| fuzz::p2m(input));
