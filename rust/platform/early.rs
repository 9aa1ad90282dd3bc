// SPDX-License-Identifier: GPL-2.0-only

//! Start of day: memory and data of the time before the kernel runs.

pub(crate) mod early_memory;
pub(crate) mod phase;
pub(crate) mod start_of_day;
