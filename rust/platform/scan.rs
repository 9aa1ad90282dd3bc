// SPDX-License-Identifier: GPL-2.0

//! Looks for entries in a table; the same on both faces of the platform.

use crate::addr::{
    Index,
    ENTRIES, //
};
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::platform::Table;
use core::ops::Range;

impl Table {
    /// Returns the first present entry in `range`, and its index.
    ///
    /// Most tables are mostly empty: eight entries at a time are looked at, if none is present.
    ///
    /// # Panics
    ///
    /// If `range` reaches past the end of a table.
    pub(crate) fn next_present(self, range: Range<usize>) -> Option<(Index, MachineEntry)> {
        const STRIDE: usize = 8;
        let mut index = range.start;

        assert!(range.end <= ENTRIES);
        while index < range.end {
            if index % STRIDE == 0 && index + STRIDE <= range.end {
                let any = (index..index + STRIDE)
                    .map(|index| self.entry(Index::wrapping(index)).read().raw())
                    .fold(0, |any, entry| any | entry);
                if any & bits::PRESENT == 0 {
                    index += STRIDE;
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
