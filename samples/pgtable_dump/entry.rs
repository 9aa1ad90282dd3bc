// SPDX-License-Identifier: GPL-2.0-only

//! Entries of page tables.

use kernel::fmt;

/// A raw entry of a table: its frame is the one that the CPU uses.
#[derive(Clone, Copy)]
pub(crate) struct Entry(pub(crate) u64);

impl Entry {
    const PRESENT: u64 = 1 << 0;
    const LARGE: u64 = 1 << 7;
    const FRAME: u64 = ((1 << 52) - 1) & !0xfff;

    /// Whether the CPU uses the entry.
    pub(crate) fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    /// Whether the entry, above level 1, maps a large page.
    pub(crate) fn is_large(self) -> bool {
        self.0 & Self::LARGE != 0
    }

    /// Returns the number of the frame in the entry.
    pub(crate) fn frame(self) -> usize {
        ((self.0 & Self::FRAME) >> 12) as usize
    }

    /// Writes the names of the flags that are set.
    pub(crate) fn write_flags(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u32, &str); 9] = [
            (1, "rw"),
            (2, "user"),
            (3, "pwt"),
            (4, "pcd"),
            (5, "accessed"),
            (6, "dirty"),
            (7, "large"),
            (8, "global"),
            (63, "nx"),
        ];
        f.write_str("present")?;
        for (bit, name) in NAMES {
            if self.0 & 1 << bit != 0 {
                write!(f, ",{name}")?;
            }
        }
        Ok(())
    }
}
