// SPDX-License-Identifier: GPL-2.0-only

//! Optimisations that can be switched off.

use crate::guest::ops;

/// Whether roots are loaded without the queue.
pub(crate) fn writes_cr3_past_queue() -> bool {
    ops::Switch::Loads.is_on()
}
