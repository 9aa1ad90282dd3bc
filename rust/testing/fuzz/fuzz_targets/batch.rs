// SPDX-License-Identifier: GPL-2.0-only

//! Batches of hypercalls, nested and in lazy MMU mode, some of them refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xen_pv_mmu_host::fuzz;

fuzz_target!(|input: &[u8]| fuzz::batch(input));
