// SPDX-License-Identifier: GPL-2.0-only

//! A test for each invariant of the contract (section 7) that concerns the MMU: it breaks the
//! invariant and expects the documented reaction. The name of a test begins with the number.

mod contents;
mod hardware;
mod memory;
mod ownership;
mod protocol;
mod roots;
mod saving;
mod start;
mod stores;
