// SPDX-License-Identifier: GPL-2.0-only

//! Page tables and translations: references and types, promotion, changes of a live entry, walks.

pub(crate) mod access;
pub(crate) mod dirty_ledger;
mod l1tf;
pub(crate) mod leaf;
mod promote;
mod ptwr;
pub(crate) mod tlb;
mod typing;
pub(crate) mod update;
pub(crate) mod walk;
