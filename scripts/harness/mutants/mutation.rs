// SPDX-License-Identifier: GPL-2.0-only

//! The choice of a mutant in this program, and a record of the functions with mutants that ran.
//!
//! `schemata.py` adds this module to a copy of the sources.

use std::env;
use std::fs::File;
use std::intrinsics::const_eval_select;
use std::io::Write;
use std::sync::atomic::{
    AtomicBool,
    Ordering, //
};
use std::sync::{
    LazyLock,
    Mutex, //
};

/// A number that no mutant has.
const NONE: usize = usize::MAX;

/// Larger than the number of mutants.
const LIMIT: usize = 1 << 14;

/// Settings from the environment.
struct Choice {
    mutant: usize,
    /// The file for the functions that run, one per line.
    reached: Option<Mutex<File>>,
}

static CHOICE: LazyLock<Choice> = LazyLock::new(|| Choice {
    mutant: env::var("MUTANT").map_or(NONE, |number| number.parse().unwrap()),
    reached: env::var("MUTANTS_REACHED")
        .ok()
        .map(|path| Mutex::new(File::create(path).unwrap())),
});

/// Returns the number of the chosen mutant. Each function with mutants calls this with its own
/// number.
///
/// Code that the compiler evaluates cannot choose a mutant: a call from there is an error.
pub(crate) const fn chosen(function: usize) -> usize {
    const_eval_select((function,), at_compile_time, at_run_time)
}

const fn at_compile_time(_function: usize) -> usize {
    panic!("evaluated by the compiler")
}

#[inline(never)]
fn at_run_time(function: usize) -> usize {
    let choice = &*CHOICE;
    if let Some(file) = &choice.reached {
        note(function, file);
    }
    choice.mutant
}

fn note(function: usize, file: &Mutex<File>) {
    static KNOWN: [AtomicBool; LIMIT] = [const { AtomicBool::new(false) }; LIMIT];

    if !KNOWN[function].swap(true, Ordering::Relaxed) {
        writeln!(file.lock().unwrap(), "{function}").unwrap();
    }
}
