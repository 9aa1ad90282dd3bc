// SPDX-License-Identifier: GPL-2.0-only

//! Page tables in memory: entries, tables, the pages that hold them, and what Xen knows of them.

pub(crate) mod dummy_page;
pub(crate) mod entry_ptr;
pub(crate) mod frame_pages;
pub(crate) mod pages;
pub(crate) mod pin_state;
pub(crate) mod region;
pub(crate) mod root;
pub(crate) mod scan;
pub(crate) mod static_tables;
pub(crate) mod table;
