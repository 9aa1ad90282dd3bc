// SPDX-License-Identifier: GPL-2.0-only

//! Page tables in memory: entries, tables, the pages that hold them, and what Xen knows of them.

#[path = "../../../../platform/paging/dummy_page.rs"]
pub(crate) mod dummy_page;
pub(crate) mod entry_ptr;
#[path = "../../../../platform/paging/frame_pages.rs"]
pub(crate) mod frame_pages;
pub(crate) mod pages;
#[path = "../../../../platform/paging/pin_state.rs"]
pub(crate) mod pin_state;
#[path = "../../../../platform/paging/region.rs"]
pub(crate) mod region;
#[path = "../../../../platform/paging/root.rs"]
pub(crate) mod root;
#[path = "../../../../platform/paging/scan.rs"]
pub(crate) mod scan;
pub(crate) mod static_tables;
pub(crate) mod table;
