// SPDX-License-Identifier: GPL-2.0-only

//! The CPU: its context, data and locks.

#[path = "../../../../platform/cpu/call_context.rs"]
pub(crate) mod call_context;
pub(crate) mod context;
pub(crate) mod lock;
pub(crate) mod percpu;
#[path = "../../../../platform/cpu/table_move.rs"]
pub(crate) mod table_move;
