// SPDX-License-Identifier: GPL-2.0-only

//! Properties: what holds after any operations in any order.
//!
//! Each has a simple reference of the expected result. The backend on a booted guest is compared
//! with it. proptest, loom or a fuzzer chooses the operations.

mod batch;
#[cfg(test)]
mod convert;
#[cfg(fuzzing)]
pub mod fuzz;
mod memory_map;
#[cfg(test)]
mod p2m;
mod p2m_list;
#[cfg(test)]
mod p2m_races;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod soak;
mod toolstack_view;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod waiting;
#[cfg(test)]
mod walk;

/// Returns the settings to try a property in `cases` cases; one that fails is kept in `file`.
#[cfg(test)]
fn config(cases: u32, file: &'static str) -> proptest::test_runner::Config {
    use proptest::test_runner::{
        Config,
        FileFailurePersistence, //
    };
    Config {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        ..Config::with_cases(cases)
    }
}

/// Returns the file for the cases of a property that have failed.
#[cfg(test)]
macro_rules! regressions {
    ($name:literal) => {
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../properties/proptest-regressions/",
            $name,
            ".txt"
        )
    };
}
#[cfg(test)]
use regressions;
