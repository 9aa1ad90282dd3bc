// SPDX-License-Identifier: GPL-2.0-only

//! Address spaces of processes, and which CPUs use them.

use crate::addr::Vaddr;
use crate::guest::generic;
use crate::level::PAGE_SIZE;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context::{
    self,
    IrqsOff,
    PreemptOff, //
};
use crate::platform::cpu::percpu::LOADED_CR3;
use crate::platform::kernel::address;
use crate::platform::kernel::error::KernelError;
use crate::platform::machine::host::{
    host,
    CpuState, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::pages::TablePage;
use crate::platform::paging::root::Root;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;

/// An address space, as far as the backend sees it.
#[derive(Clone, Debug)]
pub(crate) struct MmState {
    root: Table,
    /// How many tasks use it (`mm_users`), running or not.
    nr_users: u32,
}

impl MmState {
    /// Returns the kernel's.
    pub(crate) fn kernel() -> Self {
        Self {
            root: static_tables::root(),
            nr_users: 1,
        }
    }
}

/// An address space: an index of [`crate::platform::machine::host::Host::mms`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mm(usize);

impl Mm {
    /// Makes an address space with this root table, for one task.
    pub(crate) fn create(root: Table) -> Self {
        let host = host();
        let mut mms = host.mms.borrow_mut();
        mms.push(Some(MmState { root, nr_users: 1 }));
        Self(mms.len() - 1)
    }

    fn with_state<R>(self, section: impl FnOnce(&mut MmState) -> R) -> R {
        match &mut host().mms.borrow_mut()[self.0] {
            Some(state) => section(state),
            None => panic!("a dead mm is used"),
        }
    }

    /// Returns how many tasks use it.
    pub(crate) fn nr_users(self) -> u32 {
        self.with_state(|state| state.nr_users)
    }

    /// Whether any task uses it.
    pub(crate) fn has_users(self) -> bool {
        self.nr_users() > 0
    }

    /// Another task uses it.
    pub(crate) fn add_user(self) {
        self.with_state(|state| state.nr_users += 1);
    }

    /// A task no longer uses it.
    pub(crate) fn drop_user(self) {
        self.with_state(|state| state.nr_users -= 1);
    }

    /// All tasks have left it.
    pub(crate) fn end_users(self) {
        self.with_state(|state| state.nr_users = 0);
        self.stop_threads_beyond_users();
    }

    /// Leaves it running on as many CPUs as it has tasks, this one first. The other CPUs only
    /// borrow it.
    pub(crate) fn stop_threads_beyond_users(self) {
        let (host, nr_users) = (host(), self.nr_users());
        let mut cpus = host.cpus.borrow_mut();
        let this = host.this_cpu() as usize;
        let (before, from_this) = cpus.split_at_mut(this);
        let running = from_this.iter_mut().chain(before);
        let running = running.filter(|state| state.runs(self));
        for state in running.skip(nr_users as usize) {
            state.borrows_mm = true;
        }
    }

    /// Returns the CPUs that have it loaded, as words of a bitmap.
    pub(crate) fn loaded_on(self) -> Vec<usize> {
        let host = host();
        let cpus = host.cpus.borrow();
        let word = |cpus: &[CpuState]| {
            let loaded = cpus.iter().enumerate().filter(|(_, cpu)| cpu.mm == self.0);
            loaded.fold(0, |bits, (cpu, _)| bits | (1 << cpu))
        };
        cpus.chunks(usize::BITS as usize).map(word).collect()
    }

    /// Ends the address space; returns its root table.
    pub(crate) fn destroy(self) -> Table {
        let host = host();
        for (cpu, state) in host.cpus.borrow().iter().enumerate() {
            assert_ne!(state.mm, self.0, "CPU {cpu} still has a dead mm loaded");
        }
        let state = host.mms.borrow_mut()[self.0].take();
        match state {
            Some(state) => state.root,
            None => panic!("an mm ends twice"),
        }
    }

    /// Returns its index.
    pub(crate) fn index(self) -> usize {
        self.0
    }

    /// Returns the address space that the running CPU has loaded.
    pub(crate) fn loaded() -> Self {
        Self(host().state().mm)
    }

    /// Records that the running CPU has it loaded, and whether a kernel thread borrows it.
    pub(crate) fn note_loaded(self, is_borrowed: bool) {
        host().with_state(|state| {
            state.mm = self.0;
            state.borrows_mm = is_borrowed;
        });
    }

    /// Returns the kernel's own address space.
    pub(crate) fn kernel() -> Self {
        Self(0)
    }

    /// Returns the root table.
    pub(crate) fn root(self) -> Root {
        self.with_state(|state| Root::at(state.root))
    }

    /// Whether the filling of an empty entry for `address` may wait: the task is in lazy MMU mode,
    /// and nothing uses the mapping before the section ends.
    pub(crate) fn may_fill_later(self, _address: Vaddr) -> bool {
        context::is_lazy_mmu_mode_active() && self != Self::kernel()
    }

    /// Whether the clearing of entries may wait: the task is in lazy MMU mode, and reads none of
    /// them before the section ends.
    pub(crate) fn may_clear_later(self) -> bool {
        context::is_lazy_mmu_mode_active() && self != Self::kernel() && !host().state().in_exec
    }

    /// Whether this is the address space of the current task, and the one loaded on its CPU.
    pub(crate) fn is_loaded_here(self) -> bool {
        self != Self::kernel() && Self::loaded() == self && !host().state().borrows_mm
    }

    fn lock_name(self) -> &'static str {
        if self == Self::kernel() {
            "init_mm.page_table_lock"
        } else {
            "page_table_lock"
        }
    }

    /// Runs `section` for `caller`, which does not sleep until it ends, with the lock of the page
    /// tables held.
    pub(crate) fn with_page_table_lock<R>(
        self,
        caller: CallContext<'_>,
        section: impl FnOnce() -> R,
    ) -> R {
        let _preempt = PreemptOff::new(caller);
        host().with_lock(self.lock_name(), section)
    }
}

/// Whether tables of level 1 have locks of their own.
pub(crate) const SPLIT_PTE_LOCKS: bool = true;

/// How often preemption can be turned off.
const MAX_PREEMPT_COUNT: u32 = 255;

/// The lock of a table of PTEs, held.
#[must_use = "the table stays locked until `unlock()`"]
pub(crate) struct TableLock(TablePage);

impl TableLock {
    /// Locks the table in `page`, where such tables have locks of their own.
    pub(crate) fn lock(page: TablePage, mm: Mm) -> Option<Self> {
        let host = host();
        let name = mm.lock_name();
        assert!(host.holds(name), "tables are locked without {name}");
        let was_locked = page.with_state(|state| std::mem::replace(&mut state.is_locked, true));
        assert!(!was_locked, "{:x?} is locked twice", page.pfn());
        host.table_locks.set(host.table_locks.get() + 1);
        let depth = host.with_state(|state| {
            state.preempt_count += 1;
            state.preempt_count
        });
        assert!(depth <= MAX_PREEMPT_COUNT, "too many locks are held");
        Some(Self(page))
    }

    /// Unlocks the table.
    pub(crate) fn unlock(self) {
        let host = host();
        let was_locked = self
            .0
            .with_state(|state| std::mem::replace(&mut state.is_locked, false));
        assert!(was_locked, "{:x?} is unlocked twice", self.0.pfn());
        host.table_locks.set(host.table_locks.get() - 1);
        host.with_state(|state| state.preempt_count -= 1);
    }
}

/// Calls `visit` for the root table of every address space.
pub(crate) fn for_each_root(caller: CallContext<'_>, mut visit: impl FnMut(Root)) {
    Mm::kernel().with_page_table_lock(caller, || {
        host().with_lock("pgd_lock", || {
            let roots: Vec<_> = host().mms.borrow()[1..]
                .iter()
                .flatten()
                .map(|state| Root::at(state.root))
                .collect();
            roots.into_iter().for_each(&mut visit);
        });
    });
}

/// Switches this CPU away from `mm` if it is in lazy TLB mode on it.
fn leave_if_loaded(mm: Mm) {
    if Mm::loaded() == mm {
        assert!(
            host().state().borrows_mm,
            "an mm ends that a task on CPU {} uses",
            host().this_cpu()
        );
        Mm::kernel().note_loaded(false);
        crate::guest::ops::write_cr3(Mm::kernel().root());
    }
}

/// A function to be run on CPUs that still have a root table loaded.
pub(crate) type DropFn = fn(Mm);

/// Makes this CPU and every other that Xen still has on the root table of `mm` leave it, runs
/// `run(mm)` there, and waits for it.
pub(crate) fn run_where_loaded(mm: Mm, run: DropFn, sleep: &mut MaySleep) {
    let host = host();
    assert!(
        !host.state().irqs_off,
        "waiting for CPUs with interrupts off"
    );
    let _preempt = PreemptOff::new(sleep.caller());
    leave_if_loaded(mm);
    run(mm);
    let root = address::virt_to_phys(mm.root().table().vaddr()).raw();
    let nr_cpus = host.cpus.borrow().len() as u32;

    for cpu in (0..nr_cpus).filter(|cpu| LOADED_CR3.read_of(*cpu) == root) {
        let caller = host.switch_to(cpu);
        {
            let _irqs = IrqsOff::new();
            leave_if_loaded(mm);
            run(mm);
        }
        host.switch_to(caller);
    }
}

/// A mapping of a process.
#[derive(Clone, Copy)]
pub(crate) struct Vma {
    mm: Mm,
}

impl Vma {
    /// Returns a mapping of foreign frames in `mm`.
    pub(crate) fn new(mm: Mm) -> Self {
        Self { mm }
    }

    /// Returns the address space.
    pub(crate) fn mm(self) -> Mm {
        self.mm
    }
}

/// Calls `visit` with each entry of level 1 for `bytes` bytes from `start` on in `vma`, and
/// allocates missing tables.
pub(crate) fn for_each_level1_entry<F: FnMut(EntryPtr)>(
    vma: Vma,
    start: Vaddr,
    bytes: usize,
    mut visit: F,
) -> Result<(), KernelError> {
    const ENOMEM: i32 = -12;

    host().assert_may_sleep();
    for offset in (0..bytes).step_by(PAGE_SIZE) {
        let ptr = generic::level1_entry(vma.mm(), start.add(offset));
        visit(ptr.ok_or(KernelError(ENOMEM))?);
    }
    Ok(())
}
