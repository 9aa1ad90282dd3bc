// SPDX-License-Identifier: GPL-2.0-only

//! The simulated machine of a test, and the state of its CPUs.

use crate::addr::{
    Pfn,
    Vaddr, //
};
use crate::platform::early::phase::{
    Early,
    RunTime, //
};
use crate::platform::early::start_of_day::Start;
use crate::platform::kernel::mm::{
    Mm,
    MmState, //
};
use crate::platform::machine::interleave::Interleaver;
use crate::platform::machine::memory_map::MemoryMap;
use crate::platform::machine::page_pool::PagePool;
use crate::platform::machine::statics::Statics;
use crate::platform::paging::pages::PageState;
use std::cell::{
    Cell,
    RefCell, //
};
use std::collections::{
    BTreeMap,
    HashMap, //
};
use std::rc::Rc;
use xen_model::{
    DomainId,
    Machine,
    Vcpu, //
};

/// What a CPU is doing.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct CpuState {
    /// Whether interrupts are off.
    pub(crate) irqs_off: bool,
    /// How often preemption is turned off.
    pub(crate) preempt_count: u32,
    /// Whether it is between the two hooks of a context switch.
    pub(crate) lazy_cpu: bool,
    /// How many sections of lazy MMU mode its task is in.
    pub(crate) lazy_mmu: u32,
    /// Whether it handles an interrupt, where there is no lazy MMU mode.
    pub(crate) in_interrupt: bool,
    /// Whether it handles a non-maskable one, which arrives at any time.
    pub(crate) in_nmi: bool,
    /// Whether its task is in `execve`.
    pub(crate) in_exec: bool,
    /// The address space it has loaded: an index of [`Host::mms`].
    pub(crate) mm: usize,
    /// Whether a kernel thread only borrows that.
    pub(crate) borrows_mm: bool,
}

impl CpuState {
    /// Whether its task is one of `mm`.
    pub(crate) fn runs(&self, mm: Mm) -> bool {
        self.mm == mm.index() && !self.borrows_mm
    }
}

/// A simulated machine with the domain under test.
pub(crate) struct Host {
    /// The machine.
    pub(crate) machine: RefCell<Machine>,
    /// The domain.
    pub(crate) domain: DomainId,
    /// The CPU that runs.
    pub(in crate::platform) cpu: Cell<u32>,
    /// What each CPU is doing.
    pub(crate) cpus: RefCell<Vec<CpuState>>,
    /// The copies of statics.
    pub(in crate::platform) statics: Statics,
    /// What Xen provided at start of day.
    pub(crate) start: Start,
    /// The state of tables in `struct page`.
    pub(in crate::platform) pages: RefCell<BTreeMap<Pfn, PageState>>,
    /// Memory that is free.
    pub(crate) pool: RefCell<PagePool>,
    /// Address spaces; the first is the kernel's.
    pub(crate) mms: RefCell<Vec<Option<MmState>>>,
    /// How many locks of tables are held.
    pub(in crate::platform) table_locks: Cell<u32>,
    /// Locks of the kernel and of statics that are held, and by which CPU, in order.
    locks: RefCell<Vec<(u32, &'static str)>>,
    /// The machine's memory map; without one, everything is RAM.
    pub(crate) memory_map: RefCell<Option<MemoryMap>>,
    /// The interleaver, which lets CPUs run at the same time.
    pub(in crate::platform) interleaver: RefCell<Option<Rc<dyn Interleaver>>>,
    /// Whether stores that Xen emulates are intended.
    pub(in crate::platform) emulation_is_meant: Cell<bool>,
    /// The frames of statics that are tables.
    pub(in crate::platform) static_tables: RefCell<HashMap<usize, Vaddr>>,
    /// Refused operations that were reported.
    pub(crate) refusals: RefCell<Vec<crate::platform::diag::kept_report::Report>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Host>>> = const { RefCell::new(None) };
}

/// Returns the machine of this test.
///
/// # Panics
///
/// If there is none.
pub(crate) fn host() -> Rc<Host> {
    match current() {
        Some(host) => host,
        None => panic!("the test has no machine"),
    }
}

/// Returns the machine of this test, if it has one.
pub(crate) fn current() -> Option<Rc<Host>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Returns the proof that it is start of day.
///
/// # Panics
///
/// If it is not.
#[track_caller]
pub(crate) fn early() -> Early {
    assert!(RunTime::now().is_none(), "this is for start of day");
    // SAFETY: Checked above; only this thread runs, and it does not begin run time meanwhile.
    unsafe { Early::new() }
}

/// Gives this test a machine, or takes it away.
pub(crate) fn set_current(host: Option<Rc<Host>>) {
    let old = CURRENT.replace(host);
    // The old one is dropped after the borrow ends: statics may refer to the machine when they are
    // dropped.
    drop(old);
}

impl Host {
    /// Creates a host for a machine on which `domain` was just built.
    pub(crate) fn new(machine: Machine, domain: DomainId, cpus: u32) -> Self {
        let start = Start::new(machine.start_of_day(domain));
        let pool = PagePool::new(machine.start_of_day(domain));
        Self {
            machine: RefCell::new(machine),
            domain,
            cpu: Cell::new(0),
            cpus: RefCell::new(vec![CpuState::default(); cpus as usize]),
            statics: Statics::default(),
            start,
            pages: RefCell::default(),
            pool: RefCell::new(pool),
            mms: RefCell::new(vec![Some(MmState::kernel())]),
            table_locks: Cell::new(0),
            locks: RefCell::default(),
            memory_map: RefCell::default(),
            interleaver: RefCell::default(),
            emulation_is_meant: Cell::new(false),
            static_tables: RefCell::default(),
            refusals: RefCell::default(),
        }
    }

    /// Returns the CPU that runs.
    pub(crate) fn this_cpu(&self) -> u32 {
        self.cpu.get()
    }

    /// Returns the vCPU that runs.
    pub(crate) fn vcpu(&self) -> Vcpu {
        self.domain.vcpu(self.cpu.get())
    }

    /// Lets another CPU run; returns the one that did.
    pub(crate) fn switch_to(&self, cpu: u32) -> u32 {
        assert!((cpu as usize) < self.cpus.borrow().len(), "no CPU {cpu}");
        self.cpu.replace(cpu)
    }

    /// Returns what the running CPU is doing.
    pub(crate) fn state(&self) -> CpuState {
        self.cpus.borrow()[self.cpu.get() as usize]
    }

    /// Changes what the running CPU is doing.
    pub(crate) fn with_state<R>(&self, change: impl FnOnce(&mut CpuState) -> R) -> R {
        change(&mut self.cpus.borrow_mut()[self.cpu.get() as usize])
    }

    /// Takes a lock of this name.
    pub(in crate::platform) fn lock(&self, name: &'static str) {
        let mut held = self.locks.borrow_mut();
        let is_held = held.iter().any(|(_, other)| *other == name);
        assert!(!is_held, "{name} is taken twice");
        let rank = |name: &str| RANKS.iter().position(|ranked| *ranked == name);
        for (_, other) in held.iter().filter(|(cpu, _)| *cpu == self.this_cpu()) {
            let in_order = match (rank(other), rank(name)) {
                (Some(outer), Some(inner)) => outer < inner,
                _ => true,
            };
            assert!(in_order, "{name} is taken with {other} held");
        }
        held.push((self.this_cpu(), name));
    }

    /// Releases a lock of this name.
    pub(in crate::platform) fn unlock(&self, name: &'static str) {
        let mut held = self.locks.borrow_mut();
        let holder = (self.this_cpu(), name);
        match held.iter().rposition(|other| *other == holder) {
            Some(at) => drop(held.remove(at)),
            None => panic!("{name} is released and was not taken"),
        }
    }

    /// Panics if the running task may not sleep.
    #[track_caller]
    pub(crate) fn assert_may_sleep(&self) {
        let state = self.state();
        assert!(
            !state.irqs_off && state.preempt_count == 0 && !state.in_interrupt && !state.in_nmi,
            "sleeping on CPU {}: {state:?}",
            self.this_cpu()
        );
        let locks = self.locks.borrow();
        let is_holder = locks.iter().any(|(cpu, _)| *cpu == self.this_cpu());
        assert!(!is_holder, "sleeping with {locks:?} held");
    }

    /// Whether the running CPU holds the lock of this name.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let held = self.locks.borrow();
        held.iter()
            .any(|(cpu, other)| *cpu == self.this_cpu() && *other == name)
    }

    /// Panics unless locks are released and CPUs are at rest.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self) {
        assert_eq!(self.table_locks.get(), 0, "tables are locked");
        let locks = self.locks.borrow();
        assert!(locks.is_empty(), "{locks:?} are held");
        for (cpu, state) in self.cpus.borrow().iter().enumerate() {
            let at_rest =
                !state.irqs_off && state.preempt_count == 0 && !state.in_interrupt && !state.in_nmi;
            assert!(at_rest, "CPU {cpu} is {state:?}");
        }
    }
}

/// The order in which locks are taken.
const RANKS: [&str; 5] = [
    "init_mm.page_table_lock",
    "pgd_lock",
    "page_table_lock",
    "xen_p2m_list",
    "xen_contiguous_frames",
];
