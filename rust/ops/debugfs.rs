// SPDX-License-Identifier: GPL-2.0-only

//! The contents of the files in debugfs; `c/debugfs.c` opens, iterates and locks.

use crate::addr::Pfn;
use crate::level::Level;
use crate::ops::vtable;
use crate::p2m::ranges::{
    self,
    Kind, //
};
use crate::pin;
use crate::platform::diag::stats;
use crate::platform::kernel::mm::Mm;
use kernel::bindings;
use kernel::prelude::*;
use kernel::seq_file::{
    seq_print,
    SeqFile, //
};

/// Shows the functions in the slots of `pv_ops.mmu`, and which table they are from: the early or
/// the run-time one.
///
/// Context: process context.
///
/// # Safety
///
/// `m` points to a `seq_file` that nobody else uses during the call.
#[export]
unsafe extern "C" fn xen_pv_mmu_show_ops(m: *mut bindings::seq_file) {
    // SAFETY: By the contract of this function.
    let file = unsafe { SeqFile::from_raw(m) };

    for (name, value, _) in vtable::own_slots() {
        let since = if vtable::differs_at_run_time(name) {
            "run-time"
        } else {
            "early"
        };
        seq_print!(file, "{name} {since} ");
        // SAFETY: By the contract of this function. `%ps` takes an address, and does not access it.
        unsafe { bindings::seq_printf(m, c"%ps\n".as_char_ptr(), value) };
    }
}

/// Shows all counters, one on a line.
///
/// Context: process context.
///
/// # Safety
///
/// As [`xen_pv_mmu_show_ops`].
#[export]
unsafe extern "C" fn xen_pv_mmu_show_stats(m: *mut bindings::seq_file) {
    // SAFETY: By the contract of this function.
    let file = unsafe { SeqFile::from_raw(m) };

    stats::for_each(|name, from, value| match from {
        None => seq_print!(file, "{name} {value}\n"),
        Some(from) => seq_print!(file, "{name} {from} {value}\n"),
    });
}

/// Sets all counters to 0.
///
/// Context: process context, while counting is off.
///
/// # Safety
///
/// Any caller may call it.
#[export]
unsafe extern "C" fn xen_pv_mmu_reset_stats() {
    stats::reset();
}

/// Finds the range of the p2m list that begins with frame `start`.
///
/// Returns `false`, and leaves `range` as it is, if that frame is beyond the list.
///
/// Context: process context.
///
/// # Safety
///
/// `range` points to memory that the caller may write.
#[export]
unsafe extern "C" fn xen_pv_mmu_find_p2m_range(
    start: usize,
    range: *mut bindings::xen_pv_mmu_p2m_range,
) -> bool {
    let Some(found) = ranges::find(Pfn::new(start)) else {
        return false;
    };
    let kind = match found.kind {
        Kind::Local => c"local",
        Kind::Foreign => c"foreign",
        Kind::Identity => c"identity",
        Kind::Missing => c"missing",
    };
    // SAFETY: By the contract of this function.
    unsafe {
        range.write(bindings::xen_pv_mmu_p2m_range {
            start: found.start.raw(),
            end: found.end.raw(),
            kind: kind.as_char_ptr(),
        })
    };
    true
}

/// Counts the tables of `mm`: those of a process, or those of the kernel if it is `init_mm`.
///
/// Context: process context; the caller holds the `mmap_lock` of `mm` for writing.
///
/// # Safety
///
/// `mm` points to an address space whose tables above level 1 are not freed meanwhile. `tables`
/// points to counters that are 0 and that nobody else uses.
#[export]
unsafe extern "C" fn xen_pv_mmu_count_tables(
    mm: *mut bindings::mm_struct,
    tables: *mut bindings::xen_pv_mmu_tables,
) {
    // SAFETY: By the contract of this function.
    let (mm, tables) = unsafe { (Mm::from_raw(mm), &mut *tables) };

    tables.user_roots = mm.root().user_root().is_some().into();
    pin::for_each_table(mm, |level, is_pinned| {
        if !is_pinned {
            tables.not_pinned += 1;
            return;
        }
        match level {
            Level::L1 => tables.pinned[0] += 1,
            Level::L2 => tables.pinned[1] += 1,
            Level::L3 => tables.pinned[2] += 1,
            // The root; a PV guest has no level 5.
            Level::L4 | Level::L5 => tables.pinned[3] += 1,
        }
    });
}
