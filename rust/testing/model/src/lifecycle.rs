// SPDX-License-Identifier: GPL-2.0-only

//! How a domain begins, is saved, and goes on elsewhere.

mod restore;
pub(crate) mod save;
pub(crate) mod start_of_day;
