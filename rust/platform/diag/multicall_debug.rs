// SPDX-License-Identifier: GPL-2.0-only

//! Whether the boot parameter `xen_mc_debug` was given.

use crate::platform::xen::machine_map::ReadMostly;

static IS_ON: ReadMostly = ReadMostly::new(0);

/// Whether the parameter was given.
///
/// Context: any.
pub(crate) fn is_on() -> bool {
    IS_ON.get() != 0
}

/// Records that it was given.
///
/// Context: start of day, when early parameters are parsed.
pub(crate) fn turn_on() {
    IS_ON.set(1);
}
