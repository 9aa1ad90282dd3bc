// SPDX-License-Identifier: GPL-2.0-only

//! The properties for a long time.

use crate::properties::batch;
use crate::properties::p2m::{
    guest,
    operation, //
};
use crate::properties::p2m_list::List;
use crate::properties::p2m_races::{
    explore,
    IN_PAGE,
    IN_TABLE,
    SET_IN_PAGE,
    SET_IN_TABLE, //
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{
    Config,
    TestRunner, //
};

/// How much of a soak is to be done, and how much was.
struct Progress {
    name: &'static str,
    wanted: u64,
    done: u64,
    printed: u64,
}

impl Progress {
    /// Takes a `1 / share` part of the operations of all soaks.
    fn new(name: &'static str, share: u64) -> Self {
        let all = std::env::var("XEN_PVMMU_SOAK").ok();
        let all = all
            .and_then(|all| all.parse::<u64>().ok())
            .unwrap_or(100_000);
        Self {
            name,
            wanted: all.div_ceil(share),
            done: 0,
            printed: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.done >= self.wanted
    }

    fn add(&mut self, operations: usize) {
        self.done += operations as u64;
        if self.is_done() || self.done - self.printed >= 1000 {
            self.printed = self.done;
            println!(
                "soak {}: {} of {} operations",
                self.name, self.done, self.wanted
            );
        }
    }
}

/// Draws values until enough operations are done; `run` returns how many a value took.
fn soak<S: Strategy>(mut progress: Progress, values: S, run: impl Fn(S::Value) -> usize) {
    let mut runner = TestRunner::new(Config::default());
    while !progress.is_done() {
        match values.new_tree(&mut runner) {
            Ok(tree) => progress.add(run(tree.current())),
            Err(reason) => panic!("no value: {reason}"),
        }
    }
}

#[test]
#[ignore = "takes as long as XEN_PVMMU_SOAK requires"]
fn soak_list() {
    let operations = prop::collection::vec(operation(), 100..400);
    // Each operation has the toolstack read the list many times.
    let progress = Progress::new("p2m-list", 200);
    soak(progress, (guest(), operations), |(guest, operations)| {
        let mut list = List::boot(guest);
        operations
            .iter()
            .for_each(|operation| list.apply(*operation));
        list.finish();
        operations.len()
    });
}

#[test]
#[ignore = "takes as long as XEN_PVMMU_SOAK requires"]
fn soak_batches() {
    let steps = prop::collection::vec(batch::tests::step(), 1000..10_000);
    let progress = Progress::new("batches", 1);
    soak(progress, (any::<u64>(), steps), |(seed, steps)| {
        batch::check(seed, &steps);
        steps.len()
    });
}

#[test]
#[ignore = "takes minutes"]
fn soak_p2m_races() {
    let orders = explore(&SET_IN_PAGE, &IN_PAGE, 2) + explore(&SET_IN_TABLE, &IN_TABLE, 2);
    println!("soak p2m_races: {orders} of {orders} operations");
}
