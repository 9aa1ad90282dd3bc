// SPDX-License-Identifier: GPL-2.0-only

//! Which of the domain's pages are free: memblock and the page allocator in one.

use crate::addr::Pfn;
use crate::level::{
    ENTRIES,
    PAGE_SIZE, //
};
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::paging::static_tables;
use std::collections::BTreeSet;
use xen_model::StartOfDay;

/// Decides whether an allocation fails.
pub(crate) type Shortage = Box<dyn FnMut() -> bool>;

/// Free pages.
pub(crate) struct PagePool {
    free: BTreeSet<usize>,
    nr_pages: usize,
    /// Whether the page allocator is up; before that, allocations cannot fail or sleep.
    is_up: bool,
    /// The frames up to which the direct map reaches.
    nr_mapped: usize,
    shortage: Option<Shortage>,
}

impl PagePool {
    /// Returns the memory that is free at start of day: all but the image, the p2m list and the
    /// initial RAM disk. The backend must reserve whatever else of Xen's data it needs.
    pub(crate) fn new(start: &StartOfDay) -> Self {
        let page_of = |address: u64| (address as usize - KERNEL_MAP.raw()) / PAGE_SIZE;
        let list = if start.mfn_list < KERNEL_MAP.raw() as u64 {
            let first = start.first_p2m_pfn as usize;
            first..first + start.nr_p2m_frames as usize
        } else {
            let first = page_of(start.mfn_list);
            first..first + (start.nr_pages as usize).div_ceil(ENTRIES)
        };
        let initrd = start.mod_start as usize;
        let initrd = initrd..initrd + (start.mod_len as usize).div_ceil(PAGE_SIZE);
        let is_free = |pfn: &usize| {
            *pfn >= static_tables::IMAGE_PAGES && !list.contains(pfn) && !initrd.contains(pfn)
        };
        let nr_pages = start.nr_pages as usize;
        Self {
            free: (0..nr_pages).filter(is_free).collect(),
            nr_pages,
            is_up: false,
            nr_mapped: page_of(start.region_end),
            shortage: None,
        }
    }

    /// Asks `shortage` at every allocation from now on; `None` stops that.
    pub(crate) fn set_shortage(&mut self, shortage: Option<Shortage>) {
        self.shortage = shortage;
    }

    /// Whether the page allocator is up.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up
    }

    /// Marks the page allocator as up.
    pub(crate) fn set_up(&mut self) {
        self.is_up = true;
    }

    /// Sets how many frames are in the direct map.
    pub(crate) fn set_nr_mapped(&mut self, frames: usize) {
        self.nr_mapped = frames;
    }

    /// Returns how many pages the domain had at start of day.
    pub(crate) fn nr_pages(&self) -> usize {
        self.nr_pages
    }

    /// Returns how many pages are free.
    pub(crate) fn nr_free(&self) -> usize {
        self.free.len()
    }

    /// Whether a page is free.
    pub(crate) fn is_free(&self, pfn: Pfn) -> bool {
        self.free.contains(&pfn.raw())
    }

    /// Returns whether this allocation fails.
    pub(crate) fn is_short(&mut self) -> bool {
        self.is_up && self.shortage.as_mut().is_some_and(|is_short| is_short())
    }

    /// Allocates a page.
    pub(crate) fn take(&mut self) -> Option<Pfn> {
        self.take_run(0)
    }

    /// Allocates `1 << order` contiguous pages, aligned to their number.
    pub(crate) fn take_run(&mut self, order: u32) -> Option<Pfn> {
        if self.is_short() {
            return None;
        }
        let count = 1usize << order;
        let is_free = |first: usize| (first..first + count).all(|pfn| self.free.contains(&pfn));
        let mapped = self.free.range(..self.nr_mapped).copied();
        let first = mapped
            .rev()
            .find(|first| first % count == 0 && is_free(*first))?;
        for pfn in first..first + count {
            self.free.remove(&pfn);
        }
        Some(Pfn::new(first))
    }

    /// Frees pages, also the initial ones.
    #[track_caller]
    pub(crate) fn give(&mut self, first: Pfn, count: usize) {
        for pfn in first.raw()..first.raw() + count {
            assert!(self.free.insert(pfn), "page {pfn:#x} is freed twice");
        }
    }

    /// Keeps pages from being allocated, whether they are free or not.
    pub(crate) fn reserve(&mut self, first: Pfn, count: usize) {
        for pfn in first.raw()..first.raw() + count {
            self.free.remove(&pfn);
        }
    }
}
