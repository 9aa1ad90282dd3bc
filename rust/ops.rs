// SPDX-License-Identifier: GPL-2.0-only

//! The entry points: functions that the rest of the kernel calls.
//!
//! | slot | early | run time | context |
//! | --- | --- | --- | --- |
//! | `set_pte` | `xen_set_pte_init` | `xen_set_pte` | any |
//! | `set_pmd` | `xen_set_pmd_hyper` | `xen_set_pmd` | any but NMIs |
//! | `set_pud` | `xen_set_pud_hyper` | `xen_set_pud` | any but NMIs |
//! | `set_p4d` | `xen_set_p4d_hyper` | `xen_set_p4d` | any but NMIs |
//! | `ptep_modify_prot_*` | the same for both | | lock of the table held |
//! | `make_pte` | `xen_make_pte_init` | `xen_make_pte` | any, only `%rax` changes |
//! | `pte_val` … `make_p4d` | the same for both | | any, only `%rax` changes |
//! | `alloc_pte` to `release_pud` | `xen_alloc_pte_init` | `xen_alloc_pte` | any but NMIs |
//! | `write_cr3` | `xen_write_cr3_init` | `xen_write_cr3` | preemption off |
//! | `read_cr2`, `write_cr2` | the same for both | | noinstr |
//! | `flush_tlb_user`, `flush_tlb_kernel`, `flush_tlb_one_user` | the same for both | | any |
//! | `flush_tlb_multi` | the same for both | | preemption off |
//! | `lazy_mode_flush`, `pgd_free` | the same for both | | any but NMIs |
//! | `set_fixmap` | the same for both | | any but interrupts |
//! | `enter_mmap` | the same for both | | process context, does not sleep |
//! | `pgd_alloc`, `exit_mmap` | the same for both | | may sleep |
//!
//! `xen_init_mmu_ops()` installs the early table, `xen_pagetable_init()` the run-time table. Both
//! steps come before paravirt call sites are patched, so each call site ends as a direct call of
//! the right function. Four slots keep their native functions: `notify_page_enc_status_changed`,
//! and `alloc_p4d`, `release_p4d` and `set_pgd`, which only a kernel with five levels uses. A PV
//! guest has four levels.
//!
//! Functions that C calls by name have their C names. The functions of the table have the names of
//! the C backend as well, because these appear in stack traces. All are `unsafe` because C calls
//! them; each only takes over its arguments.
//!
//! Only the entry points know whether the caller may sleep. They create each [`CallContext`] and
//! [`MaySleep`].
//!
//! [`CallContext`]: crate::platform::cpu::call_context::CallContext
//! [`MaySleep`]: crate::platform::cpu::call_context::MaySleep

/// Returns the context of an entry point that does not sleep, with its return address.
macro_rules! caller {
    () => {
        // SAFETY: The entry point passes this to functions that take a `CallContext`, none of
        // which sleeps, and it does not sleep itself until they return.
        unsafe {
            crate::platform::cpu::call_context::CallContext::new(
                crate::platform::cpu::call_context::CallSite::here(),
            )
        }
    };
}

/// As `caller!`, in an entry point whose callers may sleep, or that runs during start of day.
macro_rules! may_sleep {
    () => {
        // SAFETY: By the contract of the entry point, its caller holds no locks and interrupts are
        // on; or it is start of day, when nothing sleeps.
        unsafe {
            crate::platform::cpu::call_context::MaySleep::new(
                crate::platform::cpu::call_context::CallSite::here(),
            )
        }
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
