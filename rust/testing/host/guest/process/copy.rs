// SPDX-License-Identifier: GPL-2.0-only

//! Fork.

use super::{
    page_in,
    OutOfMemory,
    Process,
    PAGE, //
};
use crate::addr::Vaddr;
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::guest::{
    generic, //
    ops,
};
use crate::level::{
    Index,
    Level,
    ENTRIES, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::xen::abi::FlushRange;
use std::ops::Range;

/// The most entries that are shared in one go, as if they were of one folio.
const MAX_RUN: usize = 8;

/// An entry to be shared, and its destination.
struct Shared {
    index: usize,
    from: EntryPtr,
    to: EntryPtr,
    entry: MachineEntry,
}

impl Shared {
    fn is_writable(&self) -> bool {
        self.entry.is_present() && self.entry.raw() & bits::RW != 0
    }

    fn goes_with(&self, next: &Self) -> bool {
        self.index + 1 == next.index && self.is_writable() == next.is_writable()
    }
}

impl Process {
    /// Copies the process; both share the pages until one of them writes.
    ///
    /// The copy does not run yet.
    ///
    /// # Panics
    ///
    /// If there is no memory; see [`Self::try_fork`].
    #[track_caller]
    pub(crate) fn fork(&mut self) -> Self {
        self.fork_with(|| ())
    }

    /// As [`Self::fork`]; runs `midway` before the tree is pinned.
    #[track_caller]
    pub(crate) fn fork_with(&mut self, midway: impl FnOnce()) -> Self {
        match self.copy_all(midway) {
            Ok(child) => child,
            Err(OutOfMemory) => panic!("no memory to fork"),
        }
    }

    /// As [`Self::fork`]; if there is no memory, the partial copy is freed.
    pub(crate) fn try_fork(&mut self) -> Result<Self, OutOfMemory> {
        self.copy_all(|| ())
    }

    fn copy_all(&mut self, midway: impl FnOnce()) -> Result<Self, OutOfMemory> {
        let mut child = Self::new(self.pages.clone()).ok_or(OutOfMemory)?;
        for (start, area) in self.areas.clone() {
            child.areas.insert(start, area);
            // The child maps pages of a file again when it faults.
            if area.file.is_some() {
                continue;
            }
            if let Err(error) = self.copy_entries(&child, start..area.end) {
                self.flush(FlushRange::All);
                child.exit();
                return Err(error);
            }
        }
        self.flush(FlushRange::All);
        midway();
        child.enter();
        Ok(child)
    }

    /// Shares the pages of a range with `child` (`copy_pte_range()`).
    fn copy_entries(&self, child: &Self, range: Range<usize>) -> Result<(), OutOfMemory> {
        let mut page = range.start;
        while page < range.end {
            let end = range.end.min((page / ENTRIES + 1) * ENTRIES);
            let from = generic::find(self.mm, Level::L1, Vaddr::new(page * PAGE));
            if let Some(from) = from {
                let to = generic::level1_entry(child.mm, Vaddr::new(page * PAGE));
                let to = to.ok_or(OutOfMemory)?;
                ops::in_lazy_mmu(|| {
                    let shared = (page..end).map(|index| {
                        let (from, to) = (from.table(), to.table());
                        let from = from.entry(Index::wrapping(index));
                        Shared {
                            index,
                            from,
                            to: to.entry(Index::wrapping(index)),
                            entry: from.read(),
                        }
                    });
                    let shared: Vec<_> = shared.filter(|s| page_in(s.entry).is_some()).collect();
                    for run in shared.chunk_by(Shared::goes_with) {
                        run.chunks(MAX_RUN).for_each(|run| self.share_run(run));
                    }
                });
            }
            page = end;
        }
        Ok(())
    }

    /// Shares neighbours that are all writable, or none of them (`__copy_present_ptes()`).
    fn share_run(&self, run: &[Shared]) {
        if run[0].is_writable() {
            ops::write_protect(run[0].from, run.len());
        }
        for shared in run {
            if let Some(page) = page_in(shared.entry) {
                self.pages.borrow_mut().share(page);
            }
            let rights = if shared.is_writable() { bits::RW } else { 0 };
            ops::set_pte(shared.to, shared.entry.without(rights | bits::DIRTY));
        }
    }
}
