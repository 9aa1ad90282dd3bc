// SPDX-License-Identifier: GPL-2.0-only

//! Hands whole trees of page tables over to Xen and takes them back.
//!
//! When an address space is first used, its tables are made read-only and its two roots are pinned.
//! Xen then keeps the types of the tables, and does not validate the tree at each switch. When the
//! address space ends, its tree is unpinned first, so that teardown is plain memory writes.
//!
//! Locks: `mm->page_table_lock` is held throughout. If tables of level 1 have locks of their own,
//! the lock of a table is held from the moment its pinned flag changes until Xen has seen the
//! change, because other users of the table check the flag under that lock. A [`Group`] limits how
//! many such locks are held at once: each is a level of `preempt_disable()`, of which there are
//! 255. It also limits how long interrupts are off.
//!
//! Within a group all tables are made read-only before the first is pinned, and all are unpinned
//! before the first is made writable. Xen then flushes TLBs once for each group instead of once for
//! each table, because a flush covers all frames that lost their type before it (Xen
//! `asm/flushtlb.h`, `NEED_FLUSH()`).

#![forbid(unsafe_code)]

use crate::addr::Mfn;
use crate::direct_map;
use crate::entry::{
    MachineEntry,
    Protection, //
};
use crate::level::{
    Index,
    Level, //
};
use crate::multicall::{
    Batch,
    Deferred,
    Issue, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::percpu::LOADED_CR3;
use crate::platform::diag::tracepoints;
use crate::platform::early::phase::RunTime;
use crate::platform::kernel::address;
use crate::platform::kernel::kernel_data;
use crate::platform::kernel::layout::FIXED_END;
use crate::platform::kernel::mm::{
    self,
    Mm,
    TableLock, //
};
use crate::platform::paging::pages::TablePage;
use crate::platform::paging::pin_state;
use crate::platform::paging::root::Root;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::{
    ExtOp,
    VaFlush, //
};
use crate::ptpage::mfn_of_table;
use crate::walk::{
    walk,
    Tables, //
    WalkRange,
};
use core::ops::Range;
use kernel::macros::init_text;

/// The page tables in memory.
pub(crate) struct LiveTables;

impl Tables for LiveTables {
    type Table = Table;

    fn entry(&self, table: Table, _level: Level, index: Index) -> MachineEntry {
        table.entry(index).read()
    }

    fn next_present(
        &self,
        table: Table,
        _level: Level,
        range: Range<usize>,
    ) -> Option<(Index, MachineEntry)> {
        table.next_present(range)
    }

    fn target(&self, entry: MachineEntry) -> Option<Table> {
        Table::below(entry)
    }
}

/// How many tables are handed over at once.
const GROUP: usize = 24;

/// Whether a tree is pinned or unpinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Pin,
    Unpin,
}

/// Tables that are handed over to Xen, or taken back, together.
struct Group<'context> {
    direction: Direction,
    mm: Mm,
    caller: CallContext<'context>,
    tables: [Option<(TablePage, Level)>; GROUP],
    len: usize,
}

impl<'context> Group<'context> {
    fn new(direction: Direction, mm: Mm, caller: CallContext<'context>) -> Self {
        Self {
            direction,
            mm,
            caller,
            tables: [None; GROUP],
            len: 0,
        }
    }

    fn add(&mut self, table: Table, level: Level) {
        let Some(now) = RunTime::now() else {
            return;
        };
        self.tables[self.len] = Some((TablePage::at(now, table), level));
        self.len += 1;
        if self.len == GROUP {
            self.commit();
        }
    }

    /// Hands over or takes back the tables of the group.
    fn commit(&mut self) {
        let mut locks: [Option<TableLock>; GROUP] = [const { None }; GROUP];
        let mut batch = Batch::open(Issue::Now, self.caller);
        let tables = &mut self.tables[..self.len];

        for (table, lock) in tables.iter_mut().zip(&mut locks) {
            let Some((page, level)) = *table else {
                continue;
            };
            if level == Level::L1 {
                *lock = TableLock::lock(page, self.mm);
            }
            let was_pinned = match self.direction {
                Direction::Pin => page.test_set_pinned(),
                Direction::Unpin => page.test_clear_pinned(),
            };
            if was_pinned == (self.direction == Direction::Pin) {
                // Xen knows the table already, or does not know it any more.
                *table = None;
                if let Some(lock) = lock.take() {
                    lock.unlock();
                }
            }
        }
        match self.direction {
            Direction::Pin => {
                Self::protect(&mut batch, tables, address::kernel_ro());
                Self::retype(&mut batch, tables, &locks, |mfn| ExtOp::pin(Level::L1, mfn));
            }
            Direction::Unpin => {
                Self::retype(&mut batch, tables, &locks, ExtOp::unpin);
                Self::protect(&mut batch, tables, address::kernel_rw());
            }
        }
        for lock in locks.into_iter().flatten() {
            batch.after(Deferred::Unlock(lock));
        }
        self.len = 0;
    }

    fn protect(
        batch: &mut Batch<'_>,
        tables: &[Option<(TablePage, Level)>],
        protection: Protection,
    ) {
        for (page, _) in tables.iter().flatten() {
            direct_map::protect(batch, page.pfn(), protection, VaFlush::None);
        }
    }

    /// Pins or unpins the tables that have locks of their own. The pin of the root covers the
    /// others.
    fn retype(
        batch: &mut Batch<'_>,
        tables: &[Option<(TablePage, Level)>],
        locks: &[Option<TableLock>],
        op: impl Fn(Mfn) -> ExtOp,
    ) {
        for (table, lock) in tables.iter().zip(locks) {
            if let (Some((page, _)), Some(_)) = (table, lock) {
                batch.ext(op(mfn_of_table(page.pfn())));
            }
        }
    }
}

fn user_walk_range() -> WalkRange {
    WalkRange::below(address::depth(), address::user_end())
}

/// Calls `visit` for each table of `mm`, with its level and whether Xen knows it.
///
/// For a process these are both roots, and the tables of its own part of the address space.
///
/// Context: no table above level 1 is freed meanwhile.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(crate) fn for_each_table(mm: Mm, mut visit: impl FnMut(Level, bool)) {
    let walk_range = if mm == Mm::kernel() {
        WalkRange::below(address::depth(), FIXED_END)
    } else {
        user_walk_range()
    };
    walk(&LiveTables, mm.root().table(), &walk_range, |visited| {
        visit(visited.level, pin_state::is_table_pinned(visited.table))
    });
    if let Some(user_root) = mm.root().user_root() {
        visit(Level::L4, pin_state::is_table_pinned(user_root));
    }
}

/// Queues an operation on each of the roots.
fn queue_for_roots(roots: [Option<Table>; 2], op: impl Fn(Mfn) -> ExtOp, caller: CallContext<'_>) {
    let mut batch = Batch::open(Issue::Now, caller);
    for root in roots.into_iter().flatten() {
        batch.ext(op(mfn_of_table(root.pfn())));
    }
}

/// Pins the tree below `root`, and its user root.
///
/// Context: preemption is off, and the caller holds `mm->page_table_lock` but no PTE lock.
pub(crate) fn pin_tree(mm: Mm, root: Root, caller: CallContext<'_>) {
    let user_root = root.user_root();
    tracepoints::pgd_pin(mm, root);

    let mut group = Group::new(Direction::Pin, mm, caller);
    walk(&LiveTables, root.table(), &user_walk_range(), |visited| {
        group.add(visited.table, visited.level)
    });
    if let Some(user_root) = user_root {
        group.add(user_root, Level::L4);
    }
    group.commit();

    let pin = |mfn| ExtOp::pin(Level::L4, mfn);
    queue_for_roots([Some(root.table()), user_root], pin, caller);
}

/// Unpins the tree below `root`, and its user root.
///
/// Context: as [`pin_tree`]; no vCPU uses the tree.
pub(crate) fn unpin_tree(mm: Mm, root: Root, caller: CallContext<'_>) {
    let user_root = root.user_root();
    tracepoints::pgd_unpin(mm, root);

    queue_for_roots([Some(root.table()), user_root], ExtOp::unpin, caller);
    let mut group = Group::new(Direction::Unpin, mm, caller);
    if let Some(user_root) = user_root {
        group.add(user_root, Level::L4);
    }
    walk(&LiveTables, root.table(), &user_walk_range(), |visited| {
        group.add(visited.table, visited.level)
    });
    group.commit();

    // The walk has filled the TLB with the read-only mappings of the tables.
    Batch::open(Issue::Now, caller).ext(ExtOp::flush_local());
}

/// Pins the tree of an address space that is about to be used (`enter_mmap`).
///
/// Context: the caller does not hold `mm->page_table_lock`.
pub(crate) fn enter(mm: Mm, caller: CallContext<'_>) {
    mm.with_page_table_lock(caller, || pin_tree(mm, mm.root(), caller));
}

/// Unpins the tree of an address space that ends (`exit_mmap`).
///
/// Other CPUs may still have its root loaded, because kernel threads have borrowed it. They switch
/// away first.
///
/// Context: interrupts are on and no batch is open; the caller does not hold `mm->page_table_lock`.
pub(crate) fn exit(mm: Mm, sleep: &mut MaySleep) {
    mm::run_where_loaded(mm, drop_from_this_cpu, sleep);
    let caller = sleep.caller();
    mm.with_page_table_lock(caller, || {
        // It is not pinned if exec failed before the tree was used.
        if pin_state::is_table_pinned(mm.root().table()) {
            unpin_tree(mm, mm.root(), caller);
        }
    });
}

/// Makes this CPU, which has left `mm`, stop using its root in fact and not only in the queue.
fn drop_from_this_cpu(mm: Mm) {
    // The switch away may be waiting in the queue.
    if LOADED_CR3.read() == address::virt_to_phys(mm.root().table().vaddr()).raw() {
        crate::multicall::flush();
    }
}

/// Marks the kernel's own tables as pinned. Xen has known them from the start, but until now there
/// was no `struct page` for the mark.
///
/// Context: the beginning of run time, before any table is changed.
#[init_text]
pub(crate) fn mark_kernel_tables(now: RunTime) {
    if let Some(table) = kernel_data::user_vsyscall_table() {
        TablePage::at(now, table).test_set_pinned();
    }
    let everything = WalkRange::below(address::depth(), FIXED_END);
    walk(&LiveTables, static_tables::root(), &everything, |visited| {
        TablePage::at(now, visited.table).test_set_pinned();
    });
}
