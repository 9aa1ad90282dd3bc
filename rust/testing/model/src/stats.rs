// SPDX-License-Identifier: GPL-2.0-only

//! What the guest's requests cost, counted as the contract describes it.

use std::ops::Sub;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of work that Xen and the CPUs did.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Sub for Stats {
            type Output = Self;

            fn sub(self, before: Self) -> Self {
                Self {
                    $($name: self.$name - before.$name,)*
                }
            }
        }
    };
}

counters! {
    /// Full flushes of the TLB of the calling CPU.
    local_flushes,
    /// Rounds of interrupts to other CPUs, each waited for.
    ipi_rounds,
    /// Rounds of flushes because a frame changed its type.
    type_change_rounds,
    /// Entries of the guest into Xen by hypercall, continuations included.
    world_entries,
    /// Locked operations, by the estimates of the contract.
    atomics,
    /// Flushes of single addresses from a TLB.
    address_flushes,
    /// Tables promoted.
    promotions,
    /// Tables torn down.
    teardowns,
    /// Stores to tables that trapped and were emulated.
    emulated_stores,
    /// Faults that the guest got.
    guest_faults,
    /// Pages that were mapped or unmapped in the IOMMU.
    iommu_changes,
    /// Elements of `mmu_update` that were carried out.
    mmu_updates,
    /// Elements of `mmuext_op` that were carried out.
    mmuext_ops,
    /// Calls of `update_va_mapping` that succeeded.
    va_updates,
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn the_difference_is_taken_by_counter() {
        let before = Stats {
            atomics: 3,
            ..Stats::default()
        };
        let after = Stats {
            atomics: 5,
            promotions: 1,
            ..before
        };
        let work = after - before;
        assert_eq!((work.atomics, work.promotions, work.ipi_rounds), (2, 1, 0));
    }
}
