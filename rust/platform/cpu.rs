// SPDX-License-Identifier: GPL-2.0-only

//! The CPU: its context, data and locks.

pub(crate) mod call_context;
pub(crate) mod context;
pub(crate) mod lock;
pub(crate) mod percpu;
pub(crate) mod table_move;
