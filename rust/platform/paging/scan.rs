// SPDX-License-Identifier: GPL-2.0-only

//! Finds present entries in a table. The kernel's platform and the host's both use this file.

use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::level::{
    Index,
    ENTRIES, //
};
use crate::platform::paging::table::Table;
use core::ops::Range;

/// How many entries are checked together; a table consists of a whole number of such groups.
pub(in crate::platform) const GROUP: usize = 16;

impl Table {
    /// Returns the first present entry in `range`, and its index.
    ///
    /// Most tables are mostly empty, so it skips sixteen entries at a time if none is present.
    ///
    /// Context: any.
    ///
    /// # Panics
    ///
    /// If `range` reaches past the end of a table.
    pub(crate) fn next_present(self, range: Range<usize>) -> Option<(Index, MachineEntry)> {
        let mut index = range.start;

        assert!(range.end <= ENTRIES);
        while index < range.end {
            if index % GROUP == 0 && index + GROUP <= range.end {
                let first = self.entry(Index::wrapping(index));
                if first.any_of_group() & bits::PRESENT == 0 {
                    index += GROUP;
                    continue;
                }
            }
            let at = Index::wrapping(index);
            let entry = self.entry(at).read();
            if entry.is_present() {
                return Some((at, entry));
            }
            index += 1;
        }
        None
    }
}
