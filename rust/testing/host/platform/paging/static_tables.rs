// SPDX-License-Identifier: GPL-2.0-only

//! Tables of the kernel image, made at build time.

use crate::level::PAGE_SIZE;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::paging::table::Table;

/// Number of tables of level 1 of the fixed mappings.
pub(crate) const NR_FIXMAP_LEVEL1: usize = 3;

/// The first page of the image for a [`StaticTable`].
pub(in crate::platform) const FIRST_STATIC: usize = 4 + NR_FIXMAP_LEVEL1;

/// The first page of the image that is for tables made at start of day (`brk`).
pub(crate) const FIRST_BRK: usize = 16;

/// The end of the image, in pages.
pub(crate) const IMAGE_PAGES: usize = 32;

/// Returns page `number` of the image.
pub(crate) fn nth(number: usize) -> Table {
    assert!(number < IMAGE_PAGES);
    Table::at(KERNEL_MAP.add(number * PAGE_SIZE))
}

/// The kernel's own root.
pub(crate) fn root() -> Table {
    nth(0)
}

/// Level 3 above the kernel image.
pub(crate) fn kernel_level3() -> Table {
    nth(1)
}

/// Level 2 above the kernel image.
pub(crate) fn kernel_level2() -> Table {
    nth(2)
}

/// Level 2 above the fixed mappings.
pub(crate) fn fixmap_level2() -> Table {
    nth(3)
}

/// Returns the tables of level 1 of the fixed mappings.
pub(crate) fn fixmap_level1() -> impl Iterator<Item = Table> {
    (4..4 + NR_FIXMAP_LEVEL1).map(nth)
}
