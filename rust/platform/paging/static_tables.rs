// SPDX-License-Identifier: GPL-2.0-only

//! Tables of the kernel image that C code defines, made at build time.
//!
//! Context: any, for all functions here.

use crate::level::PAGE_SIZE;
use crate::platform::paging::table::Table;
use kernel::bindings;

macro_rules! tables {
    ($($(#[$attr:meta])* fn $name:ident = $symbol:ident;)*) => {$(
        $(#[$attr])*
        pub(crate) fn $name() -> Table {
            // SAFETY: The table is a static of the kernel, to which no Rust reference exists.
            unsafe { Table::from_raw((&raw const bindings::$symbol).cast_mut()) }
        }
    )*};
}

tables! {
    /// The kernel's own root.
    fn root = init_top_pgt;
    /// Level 3 above the kernel image.
    fn kernel_level3 = level3_kernel_pgt;
    /// Level 2 above the kernel image.
    fn kernel_level2 = level2_kernel_pgt;
    /// Level 2 above the fixed mappings.
    fn fixmap_level2 = level2_fixmap_pgt;
}

/// Returns the tables of level 1 of the fixed mappings.
pub(crate) fn fixmap_level1() -> impl Iterator<Item = Table> {
    let first = (&raw const bindings::level1_fixmap_pgt)
        .cast::<u8>()
        .cast_mut();
    (0..bindings::FIXMAP_PMD_NUM as usize).map(move |number| {
        // SAFETY: The array has `FIXMAP_PMD_NUM` tables, each of which is a page.
        let table = unsafe { first.add(number * PAGE_SIZE) };
        // SAFETY: As in `root()`.
        unsafe { Table::from_raw(table) }
    })
}
