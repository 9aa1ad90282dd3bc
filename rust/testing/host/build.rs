// SPDX-License-Identifier: GPL-2.0-only

//! Sets the kernel options that the backend's modules test.

fn main() {
    let tests = "CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST";
    // On the host, the model injects faults, and tests check the results themselves.
    let faults = "CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION";
    let debugfs = "CONFIG_XEN_PV_MMU_RUST_DEBUGFS";

    println!("cargo::rustc-check-cfg=cfg({tests}, {faults}, {debugfs}, fuzzing)");
    println!("cargo::rustc-cfg={tests}");
    println!("cargo::rustc-cfg={debugfs}");
    println!("cargo::rerun-if-changed=build.rs");
}
