// SPDX-License-Identifier: GPL-2.0-only

//! The page that stands in for hardware which is not mapped.

use crate::entry::MachineEntry;
use crate::level::Index;
use crate::platform::early::phase::Early;
use crate::platform::paging::table::{
    StaticTable,
    Table, //
};

/// A page of ones, which the fixed mappings of the local APIC and the IO-APICs map.
static DUMMY_PAGE: StaticTable = StaticTable::new();

/// Fills the page.
///
/// Context: start of day.
pub(crate) fn init(early: Early) {
    for index in Index::all() {
        let ptr = DUMMY_PAGE.table().unpinned_entry(early, index);
        ptr.store(MachineEntry::from_raw(usize::MAX));
    }
}

/// Returns the page.
///
/// Context: any.
pub(crate) fn page() -> Table {
    DUMMY_PAGE.table()
}
