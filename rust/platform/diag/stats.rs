// SPDX-License-Identifier: GPL-2.0-only

//! Counters, for `xen/pvmmu/stats` in debugfs.
//!
//! While counting is off, each place that counts costs a nop.

use crate::platform::cpu::percpu::define_per_cpu;
use crate::platform::xen::abi::{
    number,
    Call, //
};
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
use kernel::{
    bindings,
    jump_label::static_branch_unlikely, //
};

/// Defines the counters and the names under which they are shown.
macro_rules! counters {
    ($($(#[$attr:meta])* $counter:ident = $name:literal,)*) => {
        /// A counter.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Counter {
            $($(#[$attr])* $counter,)*
        }

        /// All counters in order, with their names.
        const COUNTERS: &[(Counter, &str)] = &[$((Counter::$counter, $name),)*];
    };
}

counters! {
    /// Hypercalls that were issued on their own, by kind: each is a trap into Xen.
    MmuUpdate = "hypercall mmu_update",
    MmuextOp = "hypercall mmuext_op",
    UpdateVaMapping = "hypercall update_va_mapping",
    MemoryOp = "hypercall memory_op",
    GrantTableOp = "hypercall grant_table_op",
    Multicall = "hypercall multicall",
    Other = "hypercall other",
    /// Hypercalls in multicalls, by kind.
    PartMmuUpdate = "in_multicall mmu_update",
    PartMmuextOp = "in_multicall mmuext_op",
    PartUpdateVaMapping = "in_multicall update_va_mapping",
    PartOther = "in_multicall other",
    /// Elements of `mmu_update` arrays, alone or in multicalls.
    Updates = "elements mmu_update",
    ExtOps = "elements mmuext_op",
    /// Flushes of the queue, including those of an empty one.
    Flush = "flush any",
    /// Flushes because something did not fit into the queue, by reason.
    FlushCalls = "flush calls_full",
    FlushArgs = "flush args_full",
    FlushDeferred = "flush deferred_full",
    Pin = "tree pinned",
    Unpin = "tree unpinned",
    AllocTable = "table made",
    ReleaseTable = "table released",
    LoadRoot = "tlb root_loaded",
    FlushPage = "tlb page_flushed",
    FlushCpus = "tlb cpus_flushed",
    P2mChange = "p2m mapping_changed",
    /// Entries that a hypercall changed where an instruction would have trapped.
    TrapAvoided = "trap avoided",
}

/// Histograms of the lengths of arrays. The ranges are 1, 2 to 3, 4 to 7 and so on; the last range
/// has no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lengths {
    /// Calls of a multicall.
    Multicall,
    /// Elements of an `mmu_update`.
    Updates,
}

/// How many ranges of lengths there are. The last one of [`Lengths::Updates`] is that of 128, which
/// is the most that the queue takes.
const BUCKETS: usize = 8;
const HISTOGRAMS: [(Lengths, &str); 2] = [
    (Lengths::Multicall, "multicall_calls"),
    (Lengths::Updates, "mmu_update_elements"),
];
const WORDS: usize = COUNTERS.len() + HISTOGRAMS.len() * BUCKETS;

/// Returns the number of the range of `length`.
const fn bucket(length: usize) -> usize {
    let log = match length.checked_ilog2() {
        Some(log) => log as usize,
        None => 0,
    };
    if log < BUCKETS {
        log
    } else {
        BUCKETS - 1
    }
}

impl Lengths {
    const fn index(self, bucket: usize) -> usize {
        COUNTERS.len() + self as usize * BUCKETS + bucket
    }
}

define_per_cpu! {
    static COUNTS: [usize; WORDS] = [0; WORDS];
}

/// Whether counting is on.
#[inline(always)]
fn is_counting() -> bool {
    #[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
    {
        // SAFETY: `c/debugfs.c` defines this static key, as a field of the structure named here.
        unsafe {
            static_branch_unlikely!(
                bindings::xen_pv_mmu_stats,
                bindings::xen_pv_mmu_stats,
                counting
            )
        }
    }
    #[cfg(not(CONFIG_XEN_PV_MMU_RUST_DEBUGFS))]
    {
        false
    }
}

/// Adds 1 to `counter`.
///
/// Context: any.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if is_counting() {
        COUNTS.add(counter as usize, 1);
    }
}

/// Counts entries of tables that Xen knows which a hypercall changes instead of instructions that
/// trap.
///
/// Context: any.
#[inline(always)]
pub(crate) fn count_avoided_traps(entries: usize) {
    if is_counting() {
        COUNTS.add(Counter::TrapAvoided as usize, entries);
    }
}

/// Counts a hypercall; `length` is its second argument.
///
/// Context: any.
#[inline(always)]
pub(in crate::platform) fn count_hypercall(op: usize, length: usize) {
    if is_counting() {
        add_hypercall(op, length);
    }
}

/// Counts the calls of a multicall.
///
/// Context: any.
#[inline(always)]
pub(in crate::platform) fn count_parts(calls: &[Call]) {
    if is_counting() {
        add_parts(calls);
    }
}

#[cold]
fn add_hypercall(op: usize, length: usize) {
    let counter = match op {
        number::MMU_UPDATE => Counter::MmuUpdate,
        number::MMUEXT_OP => Counter::MmuextOp,
        number::UPDATE_VA_MAPPING => Counter::UpdateVaMapping,
        number::MEMORY_OP => Counter::MemoryOp,
        number::GRANT_TABLE_OP => Counter::GrantTableOp,
        number::MULTICALL => Counter::Multicall,
        _ => Counter::Other,
    };
    COUNTS.add(counter as usize, 1);
    if op == number::MULTICALL {
        COUNTS.add(Lengths::Multicall.index(bucket(length)), 1);
    }
    add_elements(op, length);
}

#[cold]
fn add_parts(calls: &[Call]) {
    for call in calls {
        let counter = match call.op {
            number::MMU_UPDATE => Counter::PartMmuUpdate,
            number::MMUEXT_OP => Counter::PartMmuextOp,
            number::UPDATE_VA_MAPPING => Counter::PartUpdateVaMapping,
            _ => Counter::PartOther,
        };
        COUNTS.add(counter as usize, 1);
        add_elements(call.op, call.args[1]);
    }
}

fn add_elements(op: usize, length: usize) {
    match op {
        number::MMU_UPDATE => {
            COUNTS.add(Counter::Updates as usize, length);
            COUNTS.add(Lengths::Updates.index(bucket(length)), 1);
        }
        number::MMUEXT_OP => COUNTS.add(Counter::ExtOps as usize, length),
        _ => (),
    }
}

/// Sets all counters to 0.
///
/// Context: counting is off.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(crate) fn reset() {
    for index in 0..WORDS {
        COUNTS.clear(index);
    }
}

/// Calls `show` with each counter: its name, for a range of lengths its first length, and its
/// value.
///
/// Context: any.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(crate) fn for_each(mut show: impl FnMut(&str, Option<usize>, usize)) {
    for &(counter, name) in COUNTERS {
        show(name, None, COUNTS.sum(counter as usize));
    }
    for (lengths, name) in HISTOGRAMS {
        for bucket in 0..BUCKETS {
            show(name, Some(1 << bucket), COUNTS.sum(lengths.index(bucket)));
        }
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_stats)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_the_range_that_begins_below_them() {
        let lengths = [0, 1, 2, 3, 4, 7, 8, 127, 128, 129, usize::MAX];
        let buckets = [0, 0, 1, 1, 2, 2, 3, 6, 7, 7, 7];
        assert_eq!(lengths.map(bucket), buckets);
    }

    #[test]
    fn every_counter_has_a_word_of_its_own() {
        for (index, &(counter, _)) in COUNTERS.iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
        assert_eq!(Lengths::Multicall.index(0), COUNTERS.len());
        assert_eq!(Lengths::Updates.index(0), COUNTERS.len() + BUCKETS);
        assert_eq!(Lengths::Updates.index(BUCKETS - 1), WORDS - 1);
    }
}
