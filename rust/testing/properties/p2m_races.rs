// SPDX-License-Identifier: GPL-2.0-only

//! CPUs that make the p2m list grow at the same time, in every order that makes a difference.
//!
//! loom runs the backend's own code, each CPU on a thread. It can switch wherever CPUs interact: at
//! locks, hypercalls, allocations, and accesses of the list and of entries that map it.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::guest::GuestConfig;
use crate::p2m;
use crate::p2m::list;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::machine::host::host;
use crate::platform::machine::interleave::Interleaver;
use crate::properties::p2m_list::{
    check_shared,
    List, //
};
use loom::sync::atomic::{
    AtomicUsize,
    Ordering, //
};
use loom::sync::Mutex;
use loom::thread;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of a thread's stack: a guest boots on one.
const STACK: usize = 1 << 20;

/// A job of a CPU.
pub(super) type Job = fn();

/// A frame, by its number, and its word in the list.
pub(super) type Word = (usize, P2mEntry);

/// Lets loom choose which CPU continues.
struct Loom {
    /// Stands for everything that CPUs share, except locks.
    memory: AtomicUsize,
    locks: BTreeMap<&'static str, Mutex<()>>,
}

impl Loom {
    fn new() -> Self {
        let names = ["init_mm.page_table_lock", "xen_p2m_list"];
        Self {
            memory: AtomicUsize::new(0),
            locks: names.map(|name| (name, Mutex::new(()))).into(),
        }
    }
}

impl Interleaver for Loom {
    fn step(&self) {
        self.memory.fetch_add(1, Ordering::AcqRel);
    }

    fn exclusive(&self, name: &'static str, section: &mut dyn FnMut()) {
        let guard = self.locks[name].lock();
        section();
        drop(guard);
    }
}

fn spawn(job: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    match thread::Builder::new().stack_size(STACK).spawn(job) {
        Ok(thread) => thread,
        Err(error) => panic!("no thread: {error}"),
    }
}

fn join(thread: thread::JoinHandle<()>) {
    assert!(thread.join().is_ok(), "a thread has panicked");
}

/// Runs `jobs`, each on a CPU of its own, in all orders with at most `preemptions` preemptions.
/// Then the words of these frames must be `expected`, and no others may have changed. Returns the
/// number of orders.
pub(super) fn explore(
    jobs: &'static [Job],
    expected: &'static [Word],
    preemptions: usize,
) -> usize {
    let orders = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&orders);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 100_000;
    model.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        join(spawn(move || run(jobs, expected)));
    });
    orders.load(Ordering::Relaxed)
}

fn run(jobs: &'static [Job], expected: &'static [Word]) {
    let config = GuestConfig::dom0(511).with_cpus(jobs.len() as u32);
    let mut list = List::boot(config);
    for (pfn, entry) in expected {
        list.expect(Pfn::new(*pfn), *entry);
    }
    let machine = host();
    machine.set_interleaver(Some(Rc::new(Loom::new())));
    let cpus: Vec<_> = (0..)
        .zip(jobs)
        .map(|(cpu, job)| {
            spawn(move || {
                host().switch_to(cpu);
                job();
            })
        })
        .collect();
    cpus.into_iter().for_each(join);
    machine.set_interleaver(None);
    machine.switch_to(0);

    check_shared();
    let last = expected.iter().map(|(pfn, _)| *pfn).max().unwrap_or(0);
    assert!(list::with_list(CallContext::here(), |list| list.last_frame) > last);
    list.finish();
}

const fn foreign(number: usize) -> P2mEntry {
    P2mEntry::Foreign(Mfn::new(number))
}

fn set((pfn, entry): Word) {
    let pfn = Pfn::new(pfn);
    assert!(p2m::grow::set(pfn, P2mWord::encode(pfn, entry), &mut MaySleep::here()).is_ok());
    assert_eq!(p2m::word(pfn).decode(), entry);
}

/// The first frame of a shared page below a table that is not shared.
const LEAF: usize = 1024;

/// The first frame below a shared table.
const TABLE: usize = 262_144;

/// Words of one page.
pub(super) const IN_PAGE: [Word; 2] = [(LEAF, foreign(7)), (LEAF + 511, foreign(8))];

/// Words of two pages below one table.
pub(super) const IN_TABLE: [Word; 2] = [(TABLE, foreign(7)), (TABLE + 512, foreign(8))];

/// Jobs that set these words.
pub(super) const SET_IN_PAGE: [Job; 2] = [|| set(IN_PAGE[0]), || set(IN_PAGE[1])];

/// Jobs that set these words.
pub(super) const SET_IN_TABLE: [Job; 2] = [|| set(IN_TABLE[0]), || set(IN_TABLE[1])];

#[test]
fn cpus_growing_one_page_both_find_their_words() {
    let orders = explore(&SET_IN_PAGE, &IN_PAGE, 1);
    assert!(orders > 20, "{orders} orders");
}

#[test]
fn cpus_growing_one_table_both_find_their_words() {
    let orders = explore(&SET_IN_TABLE, &IN_TABLE, 1);
    assert!(orders > 20, "{orders} orders");
}

#[test]
fn readers_beside_a_growing_cpu_find_the_old_word_or_the_new_one() {
    const WORDS: [Word; 1] = [(LEAF, foreign(7))];
    fn read() {
        let mut is_new = false;
        for _ in 0..3 {
            let seen = p2m::word(Pfn::new(LEAF)).decode();
            assert!(seen == foreign(7) || (seen == P2mEntry::Identity && !is_new));
            is_new |= seen == foreign(7);
            assert_eq!(p2m::word(Pfn::new(LEAF + 1)).decode(), P2mEntry::Identity);
        }
    }
    let orders = explore(&[|| set(WORDS[0]), read], &WORDS, 2);
    assert!(orders > 20, "{orders} orders");
}
