// SPDX-License-Identifier: GPL-2.0-only

//! The pages and tables that parts of the p2m list share, and functions that recognise them.

#![forbid(unsafe_code)]

use crate::p2m_word::P2mWord;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::BootCell;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::table::Table;
use crate::platform::xen::machine_map;
use kernel::macros::init_text;

/// The meaning of all words of a shared page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shared {
    /// There is no machine frame.
    Missing,
    /// Identity frames.
    Identity,
}

/// The shared page and the shared table of one kind.
#[derive(Clone, Copy)]
pub(super) struct Pages {
    /// The page of words.
    pub(super) page: Table,
    /// The table of level 1 that maps it everywhere.
    pub(super) table: Table,
}

static MISSING: BootCell<Option<Pages>> = BootCell::new(None);
static IDENTITY: BootCell<Option<Pages>> = BootCell::new(None);

impl Shared {
    /// Both kinds.
    pub(super) const ALL: [Self; 2] = [Self::Missing, Self::Identity];

    fn cell(self) -> &'static BootCell<Option<Pages>> {
        match self {
            Shared::Missing => &MISSING,
            Shared::Identity => &IDENTITY,
        }
    }

    /// Returns the shared page of words, once it exists.
    ///
    /// Context: any.
    pub(crate) fn page(self) -> Option<Table> {
        self.cell().get().map(|pages| pages.page)
    }

    /// Returns the shared table of level 1, once it exists.
    ///
    /// Context: any.
    pub(crate) fn table(self) -> Option<Table> {
        self.cell().get().map(|pages| pages.table)
    }

    /// Returns which shared page the entry of level 1 maps, if it is one.
    ///
    /// Context: any.
    pub(crate) fn of_leaf(ptr: EntryPtr) -> Option<Self> {
        // Machine frames are compared, because the pfn of this one would be looked up in the list,
        // and that lookup may call this function.
        let mfn = ptr.read().mfn();
        Self::ALL.into_iter().find(|shared| {
            let word = shared
                .page()
                .and_then(|page| machine_map::p2m_load(page.pfn()));
            word.and_then(P2mWord::mfn) == Some(mfn)
        })
    }

    /// Returns which shared table `table` is, if it is one.
    ///
    /// Context: any.
    pub(crate) fn of_table(table: Table) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|shared| shared.table() == Some(table))
    }

    /// Records the shared page and the shared table.
    ///
    /// Context: start of day, once.
    #[init_text]
    pub(super) fn set_pages(self, early: Early, pages: Pages) {
        self.cell().set(early, Some(pages));
    }
}
