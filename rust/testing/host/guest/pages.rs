// SPDX-License-Identifier: GPL-2.0-only

//! Pages that processes map: anonymous ones, and those of the only file.

use crate::addr::Pfn;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::kernel::address;
use crate::platform::machine::host::host;
use crate::platform::machine::memory::{
    load,
    store,
    store_page, //
};
use crate::platform::paging::pages::{
    self,
    OwnedPage, //
};
use std::cell::RefCell;
use std::collections::btree_map::{
    self,
    BTreeMap, //
};
use std::rc::Rc;
use xen_model::{
    entry,
    Entry,
    LostDirty, //
};

/// Pages of a folio of the file, which are contiguous. The kernel tracks dirty folios.
pub(crate) const FOLIO: usize = 4;

/// The binary logarithm of [`FOLIO`].
const FOLIO_ORDER: u32 = FOLIO.trailing_zeros();

struct Folio {
    first: Pfn,
    is_dirty: bool,
}

/// The kernel's state of pages of processes.
#[derive(Default)]
pub(crate) struct Pages {
    /// How many processes map each anonymous page.
    users: BTreeMap<Pfn, u32>,
    /// The file, by number of the folio.
    folios: BTreeMap<usize, Folio>,
    /// Dirty bits that mattered and were lost.
    lost: Vec<LostDirty>,
}

/// The pages of all processes.
pub(crate) type SharedPages = Rc<RefCell<Pages>>;

impl Pages {
    /// Allocates an anonymous page, empty or with the contents of another, for one process.
    pub(crate) fn allocate(&mut self, copied: Option<Pfn>) -> Option<Pfn> {
        let page = match copied {
            Some(from) => {
                let mut page = OwnedPage::new(&mut MaySleep::here())?;
                page.fill(|index| load(address::pfn_to_virt(from).add(index * size_of::<usize>())));
                page
            }
            None => OwnedPage::zeroed(&mut MaySleep::here())?,
        };
        let pfn = page.leak().pfn();
        self.users.insert(pfn, 1);
        Some(pfn)
    }

    /// Whether only one process maps an anonymous page.
    pub(crate) fn is_exclusive(&self, page: Pfn) -> bool {
        self.users.get(&page) == Some(&1)
    }

    /// Another process maps an anonymous page.
    pub(crate) fn share(&mut self, page: Pfn) {
        match self.users.get_mut(&page) {
            Some(nr_users) => *nr_users += 1,
            None => panic!("{page:x?} belongs to no process"),
        }
    }

    /// A process unmaps an anonymous page. The last one frees it.
    pub(crate) fn release(&mut self, page: Pfn) {
        match self.users.get_mut(&page) {
            Some(1) => {
                self.users.remove(&page);
                free_user_page(page);
            }
            Some(nr_users) => *nr_users -= 1,
            None => panic!("{page:x?} belongs to no process"),
        }
    }

    /// Returns a page of the file, and reads it in if it is not in memory.
    pub(crate) fn of_file(&mut self, number: usize) -> Option<Pfn> {
        let (folio, offset) = (number / FOLIO, number % FOLIO);
        let folio = match self.folios.entry(folio) {
            btree_map::Entry::Occupied(folio) => folio.into_mut(),
            btree_map::Entry::Vacant(vacant) => {
                let first = host().pool.borrow_mut().take_run(FOLIO_ORDER)?;
                for page in 0..FOLIO {
                    store_page(address::pfn_to_virt(first.add(page)), |_| 0);
                }
                let is_dirty = false;
                vacant.insert(Folio { first, is_dirty })
            }
        };
        Some(folio.first.add(offset))
    }

    /// Returns the pages of the file that are in memory, and their numbers.
    pub(crate) fn file(&self) -> impl Iterator<Item = (usize, Pfn)> + '_ {
        self.folios.iter().flat_map(|(number, folio)| {
            (0..FOLIO).map(move |page| (number * FOLIO + page, folio.first.add(page)))
        })
    }

    /// Notes that the folio of a page of the file was written to.
    pub(crate) fn note_dirty(&mut self, number: usize) {
        if let Some(folio) = self.folios.get_mut(&(number / FOLIO)) {
            folio.is_dirty = true;
        }
    }

    /// Whether the folio of a page of the file is known to have been written to.
    pub(crate) fn is_dirty(&self, number: usize) -> bool {
        let folio = self.folios.get(&(number / FOLIO));
        folio.is_some_and(|folio| folio.is_dirty)
    }

    /// Notes that a folio has been written back.
    pub(crate) fn note_clean(&mut self, number: usize) {
        if let Some(folio) = self.folios.get_mut(&(number / FOLIO)) {
            folio.is_dirty = false;
        }
    }

    /// Drops the file, which no process maps any more.
    pub(crate) fn truncate(&mut self) {
        for folio in std::mem::take(&mut self.folios).into_values() {
            (0..FOLIO).for_each(|page| free_user_page(folio.first.add(page)));
        }
    }

    /// Records the dirty bits that were lost, except in entries of the kernel and for the discarded
    /// pages `gone`, where they do not matter.
    pub(crate) fn note_lost_dirty(&mut self, gone: &[Pfn]) {
        let host = host();
        let mut machine = host.machine.borrow_mut();
        for lost in machine.take_lost_dirty() {
            let pfn = machine.m2p(lost.mfn()).map(|pfn| Pfn::new(pfn as usize));
            let is_gone = pfn.is_some_and(|pfn| gone.contains(&pfn));
            // An inaccessible entry has an inverted frame, and still has the bit.
            let now = Entry(lost.now);
            let is_kept = !now.is_present() && now.has(entry::DIRTY);
            if !lost.is_kernel() && !is_gone && !is_kept {
                self.lost.push(lost);
            }
        }
    }

    /// Returns the dirty bits that mattered and were lost.
    pub(crate) fn lost_dirty(&mut self) -> &[LostDirty] {
        self.note_lost_dirty(&[]);
        &self.lost
    }
}

/// Frees a page that was mapped by processes.
#[track_caller]
fn free_user_page(page: Pfn) {
    let host = host();
    if let Some(mfn) = crate::p2m::mfn_of(page) {
        let users = host
            .machine
            .borrow()
            .cached_users(xen_model::Mfn(mfn.raw() as u64));
        let in_user_space = |(_, va): &&(_, u64)| *va < 1 << 47;
        let user = users.iter().find(in_user_space);
        assert_eq!(user, None, "{page:x?} is freed while a TLB has it");
    }
    // A process that still reads it must see that it was freed.
    store(address::pfn_to_virt(page), usize::MAX);
    pages::free_page(page);
}
