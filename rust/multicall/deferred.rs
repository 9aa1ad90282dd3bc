// SPDX-License-Identifier: GPL-2.0-only

//! Work that runs, in order, once Xen has carried out the operations that were queued before it.

#![forbid(unsafe_code)]

use crate::addr::Paddr;
use crate::platform::cpu::percpu::LOADED_CR3;
use crate::platform::kernel::callback::Callback;
use crate::platform::kernel::mm::TableLock;

/// How many pieces of deferred work fit into the queue.
pub(crate) const MAX_DEFERRED: usize = 32;

/// Work that has to wait until Xen has carried out the operations queued before it.
pub(crate) enum Deferred {
    /// Unlock a table that is pinned or unpinned.
    Unlock(TableLock),
    /// Record the root table that Xen now uses for this CPU.
    RootLoaded(Paddr),
    /// Call back into C.
    Call(Callback),
}

impl Deferred {
    /// Does the work.
    ///
    /// Context: on the CPU of the queue, with interrupts off.
    pub(super) fn run(self) {
        match self {
            Deferred::Unlock(lock) => lock.unlock(),
            Deferred::RootLoaded(root) => LOADED_CR3.write(root.raw()),
            Deferred::Call(callback) => callback.run(),
        }
    }
}

/// The deferred work of a queue.
///
/// Context: on the CPU of the queue, with interrupts off, for all methods.
///
/// # Invariants
///
/// - `next <= due <= len <= MAX_DEFERRED`.
/// - The elements from `next` up to `len`, exclusive, are `Some`.
pub(super) struct DeferredQueue {
    /// The elements before this one have run.
    next: u32,
    /// The elements before this one need not wait any longer.
    due: u32,
    len: u32,
    elements: [Option<Deferred>; MAX_DEFERRED],
}

impl DeferredQueue {
    pub(super) const EMPTY: Self = Self {
        next: 0,
        due: 0,
        len: 0,
        elements: [const { None }; MAX_DEFERRED],
    };

    /// Whether there is no work, not even work that is being done.
    #[inline(always)]
    pub(super) fn are_none(&self) -> bool {
        self.len == 0
    }

    /// Returns how many pieces of work have not run yet.
    #[inline(always)]
    pub(super) fn waiting(&self) -> u32 {
        self.len - self.next
    }

    /// Adds `work`, or returns it if there is no room.
    #[inline(always)]
    pub(super) fn push(&mut self, work: Deferred) -> Result<(), Deferred> {
        let Some(place) = self.elements.get_mut(self.len as usize) else {
            return Err(work);
        };
        // INVARIANT: The element is `Some` before `len` includes it.
        *place = Some(work);
        self.len += 1;
        Ok(())
    }

    /// Marks all work as due: Xen has carried out the operations that it waits for.
    pub(super) fn all_are_due(&mut self) {
        // INVARIANT: `due` may be as large as `len`.
        self.due = self.len;
    }

    /// Takes the next piece of work that is due. If work flushes the queue again, that flush finds
    /// the remaining work here.
    pub(super) fn take_due(&mut self) -> Option<Deferred> {
        if self.next == self.due {
            if self.due == self.len {
                // INVARIANT: All elements have been taken.
                (self.next, self.due, self.len) = (0, 0, 0);
            }
            return None;
        }
        // INVARIANT: `next` is below `due`, and the element before the new `next` has been taken.
        let work = self.elements[self.next as usize].take();
        self.next += 1;
        work
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_deferred)]
mod tests {
    use super::*;

    fn taken(queue: &mut DeferredQueue) -> Option<usize> {
        match queue.take_due()? {
            Deferred::RootLoaded(root) => Some(root.raw()),
            _ => None,
        }
    }

    fn push(queue: &mut DeferredQueue, root: usize) {
        assert!(queue.push(Deferred::RootLoaded(Paddr::new(root))).is_ok());
    }

    #[test]
    fn work_is_taken_in_order_once_it_is_due() {
        let mut queue = DeferredQueue::EMPTY;
        push(&mut queue, 1);
        push(&mut queue, 2);
        assert_eq!(taken(&mut queue), None);
        queue.all_are_due();
        assert_eq!(taken(&mut queue), Some(1));
        assert_eq!(queue.waiting(), 1);
        assert_eq!(taken(&mut queue), Some(2));
        assert_eq!(taken(&mut queue), None);
        assert!(queue.are_none());
    }

    #[test]
    fn work_that_comes_from_work_waits_for_its_own_flush() {
        let mut queue = DeferredQueue::EMPTY;
        push(&mut queue, 1);
        queue.all_are_due();
        assert_eq!(taken(&mut queue), Some(1));
        push(&mut queue, 2);
        assert_eq!(taken(&mut queue), None);
        assert_eq!(queue.waiting(), 1);
        assert!(!queue.are_none());
        queue.all_are_due();
        assert_eq!(taken(&mut queue), Some(2));
        assert_eq!(taken(&mut queue), None);
        assert!(queue.are_none());
    }

    #[test]
    fn work_that_does_not_fit_is_returned() {
        let mut queue = DeferredQueue::EMPTY;
        for root in 0..MAX_DEFERRED {
            push(&mut queue, root);
        }
        let last = Paddr::new(MAX_DEFERRED);
        let back = queue.push(Deferred::RootLoaded(last));
        assert!(matches!(back, Err(Deferred::RootLoaded(root)) if root == last));
        assert_eq!(queue.waiting() as usize, MAX_DEFERRED);
    }
}
