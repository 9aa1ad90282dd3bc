// SPDX-License-Identifier: GPL-2.0

//! Hands whole trees of page tables over to Xen and takes them back.
//!
//! A tree that a vCPU is to use is made read-only and pinned, so that Xen keeps its types and need
//! not check it again at every switch. When the process ends the tree is unpinned first, so that
//! tearing it down is plain memory writes.
//!
//! Locks: `mm->page_table_lock` is held throughout. Where tables of level 1 have locks of their
//! own, each is held from the moment its pinned flag changes until Xen has seen the change: other
//! users of the table look at the flag under that lock. A [`Group`] bounds how many such locks are
//! held at once, since each counts as a level of `preempt_disable()`, of which there are 255; it
//! also bounds for how long interrupts are off.
//!
//! Within a group all tables are made read-only before the first is pinned, and all are unpinned
//! before the first is made writable: Xen then flushes TLBs once for a group and not once for each
//! table, because flushes that happen after a frame lost its type are good for all such frames
//! (Xen `asm/flushtlb.h`, `NEED_FLUSH()`).

#![forbid(unsafe_code)]

use crate::addr::Mfn;
use crate::direct_map;
use crate::entry::MachineEntry;
use crate::level::{
    Index,
    Level, //
};
use crate::multicall::{
    Batch,
    Deferred,
    Issue, //
};
use crate::platform::{
    depth,
    is_table_pinned,
    kernel_root,
    leave_if_loaded,
    run_where_loaded,
    trace,
    user_end,
    user_vsyscall_table,
    virt_to_phys,
    CallContext,
    ExtOp,
    MaySleep,
    Mm,
    Root,
    RunTime,
    Table,
    TableLock,
    TablePage,
    VaFlush,
    FIXED_END,
    LOADED_CR3, //
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
        Table::in_frame(entry.mfn())
    }
}

/// How many tables are handed over at once.
const GROUP: usize = 24;

/// What is done to a tree.
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

    /// Carries out what was gathered.
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
                // It is as it should be already.
                *table = None;
                if let Some(lock) = lock.take() {
                    lock.unlock();
                }
            }
        }
        match self.direction {
            Direction::Pin => {
                Self::protect(&mut batch, tables, false);
                Self::retype(&mut batch, tables, &locks, |mfn| ExtOp::pin(Level::L1, mfn));
            }
            Direction::Unpin => {
                Self::retype(&mut batch, tables, &locks, ExtOp::unpin);
                Self::protect(&mut batch, tables, true);
            }
        }
        for lock in locks.into_iter().flatten() {
            batch.after(Deferred::Unlock(lock));
        }
        self.len = 0;
    }

    fn protect(batch: &mut Batch<'_>, tables: &[Option<(TablePage, Level)>], writable: bool) {
        for (page, _) in tables.iter().flatten() {
            direct_map::protect(batch, page.pfn(), writable, VaFlush::None);
        }
    }

    /// Pins or unpins the tables that have locks of their own; the root does it for the others.
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
    WalkRange::below(depth(), user_end())
}

/// Calls `visit` for each table of `mm`, or of the kernel if it is that of the kernel, with its
/// level and whether Xen knows it.
///
/// A process's tables are those of its own part of the address space, and both roots.
///
/// Context: no table above level 1 is freed meanwhile.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(crate) fn for_each_table(mm: Mm, mut visit: impl FnMut(Level, bool)) {
    let walk_range = if mm == Mm::kernel() {
        WalkRange::below(depth(), FIXED_END)
    } else {
        user_walk_range()
    };
    walk(&LiveTables, mm.root().table(), &walk_range, |visited| {
        visit(visited.level, is_table_pinned(visited.table))
    });
    if let Some(user_root) = mm.root().user_root() {
        visit(Level::L4, is_table_pinned(user_root));
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
/// Context: preemption is off and `mm`'s page-table lock is held; no PTE lock is.
pub(crate) fn pin_tree(mm: Mm, root: Root, caller: CallContext<'_>) {
    let user_root = root.user_root();
    trace::pgd_pin(mm, root);

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
    trace::pgd_unpin(mm, root);

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
/// Context: may not hold `mm`'s page-table lock.
pub(crate) fn enter(mm: Mm, caller: CallContext<'_>) {
    mm.with_page_table_lock(caller, || pin_tree(mm, mm.root(), caller));
}

/// Unpins the tree of an address space that ends (`exit_mmap`).
///
/// Other CPUs may still have its root loaded because kernel threads borrowed it; they are switched
/// away first.
///
/// Context: interrupts are on, no batch is open; may not hold `mm`'s page-table lock.
pub(crate) fn exit(mm: Mm, sleep: &mut MaySleep) {
    run_where_loaded(mm, drop_from_this_cpu, sleep);
    let caller = sleep.caller();
    mm.with_page_table_lock(caller, || {
        // Not so if exec failed before the tree was used.
        if is_table_pinned(mm.root().table()) {
            unpin_tree(mm, mm.root(), caller);
        }
    });
}

/// Makes this CPU stop using the root of `mm`, in fact and not only in the queue.
fn drop_from_this_cpu(mm: Mm) {
    leave_if_loaded(mm);
    // The switch away may be waiting in the queue.
    if LOADED_CR3.read() == virt_to_phys(mm.root().table().vaddr()).raw() {
        crate::multicall::flush();
    }
}

/// Marks the kernel's own tables, which Xen has known from the start, now that there are
/// `struct page`s to hold the mark.
///
/// Context: when run time begins.
#[init_text]
pub(crate) fn mark_kernel_tables(now: RunTime) {
    if let Some(table) = user_vsyscall_table() {
        TablePage::at(now, table).test_set_pinned();
    }
    let everything = WalkRange::below(depth(), FIXED_END);
    walk(&LiveTables, kernel_root(), &everything, |visited| {
        TablePage::at(now, visited.table).test_set_pinned();
    });
}
