// SPDX-License-Identifier: GPL-2.0

//! Which mutant this program is, and which functions with mutants it has run.
//!
//! `schemata.py` puts this module beside the others, in a copy of the sources.

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

/// Not the number of a mutant.
const NONE: usize = usize::MAX;

/// More than there are mutants.
const LIMIT: usize = 1 << 14;

/// What the environment says.
struct Choice {
    mutant: usize,
    /// Gets the functions that are run, one a line.
    reached: Option<Mutex<File>>,
}

static CHOICE: LazyLock<Choice> = LazyLock::new(|| Choice {
    mutant: env::var("MUTANT").map_or(NONE, |number| number.parse().unwrap()),
    reached: env::var("MUTANTS_REACHED")
        .ok()
        .map(|path| Mutex::new(File::create(path).unwrap())),
});

/// Returns the number of the mutant to be. Each function with mutants asks, with a number of its
/// own.
///
/// What the compiler evaluates cannot be chosen later: there it is an error to ask.
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
