// SPDX-License-Identifier: GPL-2.0-only

//! Moves of whole tables by `mremap()`, which let entries of level 2 wait in the queue.

use crate::platform::cpu::context;
use crate::platform::cpu::percpu::define_per_cpu;

define_per_cpu! {
    /// Not 0 while `mremap()` moves a whole table on this CPU.
    static TABLE_MOVE: usize = 0;
}

/// Records whether `mremap()` is moving a whole table on this CPU.
///
/// Context: the task is in lazy MMU mode and holds the locks of both entries of level 2, so it
/// stays on its CPU.
pub(crate) fn note(is_going_on: bool) {
    TABLE_MOVE.write(is_going_on.into());
}

/// Whether the task is moving a whole table, and holds the locks of both entries of level 2 until
/// it leaves lazy MMU mode.
///
/// Context: any.
pub(crate) fn is_going_on() -> bool {
    TABLE_MOVE.read() != 0 && context::is_lazy_mmu_mode_active()
}
