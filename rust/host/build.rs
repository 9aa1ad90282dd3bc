// SPDX-License-Identifier: GPL-2.0

//! Sets the kernel options that the backend's modules ask for.

fn main() {
    let tests = "CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST";
    // Here it is the model that refuses.
    let faults = "CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION";

    println!("cargo::rustc-check-cfg=cfg({tests}, {faults})");
    println!("cargo::rustc-cfg={tests}");
    println!("cargo::rerun-if-changed=build.rs");
}
