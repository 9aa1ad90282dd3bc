// SPDX-License-Identifier: GPL-2.0

//! Work that runs once Xen has carried out what is queued before it, in order.

#![forbid(unsafe_code)]

use crate::platform::{
    Callback,
    TableLock,
    LOADED_CR3, //
};

/// How many deferred pieces of work fit the queue.
pub(crate) const MAX_DEFERRED: usize = 32;

/// Work that has to wait until Xen has seen what is queued.
pub(crate) enum Deferred {
    /// Unlock a table that has been pinned or unpinned.
    Unlock(TableLock),
    /// Note the root table that Xen now uses for this CPU.
    RootLoaded(usize),
    /// Call back into C.
    Call(Callback),
}

impl Deferred {
    pub(super) fn run(self) {
        match self {
            Deferred::Unlock(lock) => lock.unlock(),
            Deferred::RootLoaded(root) => LOADED_CR3.write(root),
            Deferred::Call(callback) => callback.run(),
        }
    }
}

/// The deferred work of a queue.
///
/// # Invariants
///
/// - `next <= due <= len <= MAX_DEFERRED`.
/// - The elements from `next` up to `len`, exclusive, are there.
pub(super) struct DeferredQueue {
    /// What is in front of it has run.
    next: u32,
    /// What is in front of it need not wait any longer.
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

    #[inline(always)]
    pub(super) fn are_none(&self) -> bool {
        self.len == 0
    }

    /// Returns how many wait.
    #[inline(always)]
    pub(super) fn waiting(&self) -> u32 {
        self.len - self.next
    }

    /// Adds `work`, or gives it back if there is no place.
    #[inline(always)]
    pub(super) fn push(&mut self, work: Deferred) -> Result<(), Deferred> {
        let Some(place) = self.elements.get_mut(self.len as usize) else {
            return Err(work);
        };
        // INVARIANT: The element is there before it is counted.
        *place = Some(work);
        self.len += 1;
        Ok(())
    }

    /// Notes that Xen has seen what all of it waits for.
    pub(super) fn all_are_due(&mut self) {
        // INVARIANT: The largest that it may be.
        self.due = self.len;
    }

    /// Takes the next piece that is due. Work that flushes again finds what is left of it here.
    pub(super) fn take_due(&mut self) -> Option<Deferred> {
        if self.next == self.due {
            if self.due == self.len {
                // INVARIANT: Nothing is left.
                (self.next, self.due, self.len) = (0, 0, 0);
            }
            return None;
        }
        // INVARIANT: `due` is larger. The element is taken.
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
            Deferred::RootLoaded(root) => Some(root),
            _ => None,
        }
    }

    fn push(queue: &mut DeferredQueue, root: usize) {
        assert!(queue.push(Deferred::RootLoaded(root)).is_ok());
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
    fn what_does_not_fit_comes_back() {
        let mut queue = DeferredQueue::EMPTY;
        for root in 0..MAX_DEFERRED {
            push(&mut queue, root);
        }
        let back = queue.push(Deferred::RootLoaded(MAX_DEFERRED));
        assert!(matches!(back, Err(Deferred::RootLoaded(MAX_DEFERRED))));
        assert_eq!(queue.waiting() as usize, MAX_DEFERRED);
    }
}
