// SPDX-License-Identifier: GPL-2.0

//! The edge: what the rest of the kernel calls.
//!
//! | slot | early | run time | context |
//! | --- | --- | --- | --- |
//! | `set_pte` | `xen_set_pte_init` | `xen_set_pte` | any |
//! | `set_pmd` | `xen_set_pmd_hyper` | `xen_set_pmd` | any |
//! | `set_pud` | `xen_set_pud_hyper` | `xen_set_pud` | any |
//! | `set_p4d` | `xen_set_p4d_hyper` | `xen_set_p4d` | any |
//! | `make_pte` | `xen_make_pte_init` | `xen_make_pte` | any, only `%rax` changes |
//! | `pte_val` … `make_p4d` | the same for both | | any, only `%rax` changes |
//! | `alloc_pte` … `release_pud` | `xen_alloc_pte_init` … | `xen_alloc_pte` … | any |
//! | `write_cr3` | `xen_write_cr3_init` | `xen_write_cr3` | preemption off |
//! | `read_cr2`, `write_cr2` | the same for both | | noinstr |
//! | `flush_tlb_*`, `lazy_mode_flush` | the same for both | | any |
//! | `pgd_alloc`, `enter_mmap`, `exit_mmap` | the same for both | | may sleep |
//!
//! The early table is put in place by `xen_init_mmu_ops()`, the run-time table by
//! `xen_pagetable_init()`: both before paravirt call sites are patched, so that they end as direct
//! calls. `notify_page_enc_status_changed` and the slots that only a kernel with five levels uses,
//! `alloc_p4d`, `release_p4d` and `set_pgd`, stay native: a PV guest has four levels.
//!
//! Functions that C reaches by name have their C names, and so do those of the table, for the sake
//! of those who read stack traces. All are `unsafe` because C calls them; each does no more than
//! take over its arguments.
//!
//! Only the entry points know whether the caller may sleep: they make each [`CallContext`] and
//! [`MaySleep`].
//!
//! [`CallContext`]: crate::platform::CallContext
//! [`MaySleep`]: crate::platform::MaySleep

/// Names who called the function that this is used in, which does not sleep.
macro_rules! caller {
    () => {
        // SAFETY: The function does not sleep while it works for this caller.
        unsafe { crate::platform::CallContext::new(crate::platform::CallSite::here()) }
    };
}

/// As `caller!`, in a function that is only called where it may sleep, or during start of day.
macro_rules! may_sleep {
    () => {
        // SAFETY: The function is called without locks and with interrupts on, as its contract
        // says, or during start of day.
        unsafe { crate::platform::MaySleep::new(crate::platform::CallSite::here()) }
    };
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod conversion_tests;
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
mod debugfs;
mod exports;
mod hooks;
pub(crate) mod multicall;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod table_tests;
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
mod tests;
pub(crate) mod vtable;
