// SPDX-License-Identifier: GPL-2.0-only

//! Properties of processes that do anything, at random.
//!
//! `PROPTEST_CASES` traces run with all tests. The soak runs `XEN_PVMMU_SOAK` operations. Both
//! begin with `PROPTEST_RNG_SEED`, and a trace that fails is made as short as possible, printed,
//! and kept in `proptest-regressions`.

use crate::properties::regressions;
use crate::properties::trace::{
    setups,
    steps,
    Setup,
    Step,
    Trace, //
};
use proptest::prelude::*;
use proptest::test_runner::{
    contextualize_config,
    Config,
    FileFailurePersistence,
    TestRunner, //
};
use std::cell::Cell;
use std::time::{
    Duration,
    Instant, //
};

/// Traces of a property by default.
const CASES: u32 = 48;
/// Steps of a trace.
const STEPS: usize = 200;
/// Steps of a trace of the soak.
const SOAK_STEPS: usize = 1000;
/// How long proptest may shorten a trace that fails, in milliseconds.
const SHRINK_TIME: u32 = 30_000;

/// Seeds of traces that once failed; they are tried first.
const REGRESSIONS: &str = regressions!("mmu");

/// Returns the settings of a property, which the environment may override, with seeds of failures
/// kept in `file`.
pub(crate) fn config(cases: u32, file: &'static str) -> Config {
    contextualize_config(Config {
        cases,
        max_shrink_iters: u32::MAX,
        max_shrink_time: SHRINK_TIME,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(file))),
        ..Config::default()
    })
}

fn run(setup: &Setup, steps: &[Step]) {
    let mut trace = Trace::begin(setup);
    steps.iter().for_each(|step| trace.step(*step));
    trace.end();
}

fn check(cases: u32, traces: impl Strategy<Value = (Setup, Vec<Step>)>) {
    let result = TestRunner::new(config(cases, REGRESSIONS)).run(&traces, |(setup, steps)| {
        run(&setup, &steps);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn processes_agree_with_a_simple_mmu() {
    check(CASES, (setups(any::<bool>()), steps(STEPS, 1000)));
}

#[test]
fn a_domain_can_be_saved_at_any_time() {
    check(CASES / 4, (setups(Just(false)), steps(STEPS, 12)));
}

/// Prints the progress of a soak once a second.
struct Progress {
    wanted: u64,
    done: Cell<u64>,
    printed: Cell<Instant>,
}

impl Progress {
    fn add(&self, operations: u64) {
        self.done.set(self.done.get() + operations);
        if self.printed.get().elapsed() > Duration::from_secs(1) {
            self.print();
        }
    }

    fn print(&self) {
        self.printed.set(Instant::now());
        println!(
            "soak mmu: {} of {} operations",
            self.done.get(),
            self.wanted
        );
    }
}

#[test]
#[ignore = "long: `make soak-host`"]
fn soak_processes() {
    let asked = std::env::var("XEN_PVMMU_SOAK");
    let all = asked.map_or(100_000u64, |number| match number.parse() {
        Ok(all) => all,
        Err(_) => panic!("XEN_PVMMU_SOAK={number} is not a number"),
    });
    // The other soaks do the other half, or more.
    let wanted = all.div_ceil(2);
    let progress = Progress {
        wanted,
        done: Cell::new(0),
        printed: Cell::new(Instant::now()),
    };
    let traces = (setups(any::<bool>()), steps(SOAK_STEPS, 5000));
    let mut runner = TestRunner::new(config(1, REGRESSIONS));
    while progress.done.get() < wanted {
        let result = runner.run(&traces, |(setup, steps)| {
            run(&setup, &steps);
            progress.add(steps.len() as u64);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
    progress.print();
}
