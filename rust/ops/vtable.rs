// SPDX-License-Identifier: GPL-2.0

//! The two tables of paravirt operations, early and run-time.

use crate::ops::hooks::*;
use crate::platform::{
    announce,
    init_dummy_page,
    RunTime, //
};
use crate::{
    boot,
    contiguous,
    p2m,
    pin,
    platform, //
};
use kernel::bindings;
use kernel::bindings::paravirt_callee_save;

extern "C" {
    // rust/ops/convert.S
    fn __raw_callee_save_xen_pte_val();
    fn __raw_callee_save_xen_pgd_val();
    fn __raw_callee_save_xen_pmd_val();
    fn __raw_callee_save_xen_pud_val();
    fn __raw_callee_save_xen_p4d_val();
    fn __raw_callee_save_xen_make_pte();
    fn __raw_callee_save_xen_make_pgd();
    fn __raw_callee_save_xen_make_pmd();
    fn __raw_callee_save_xen_make_pud();
    fn __raw_callee_save_xen_make_p4d();
    fn __raw_callee_save_xen_make_pte_init();
    // xen-asm.S
    fn xen_read_cr2();
    #[cfg(any(CONFIG_XEN_PV_MMU_RUST_DEBUGFS, CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST))]
    fn xen_read_cr2_direct();
}

/// Returns the slot value of a function that keeps all registers but its result.
fn saves(function: unsafe extern "C" fn()) -> paravirt_callee_save {
    paravirt_callee_save {
        func: function as *mut core::ffi::c_void,
    }
}

/// Sets slots of `pv_ops.mmu`.
macro_rules! set_slots {
    ($($slot:ident: $value:expr,)*) => {
        // SAFETY: Only the boot CPU runs, and no call site is patched yet.
        unsafe {
            $(bindings::pv_ops.mmu.$slot = $value;)*
        }
    };
}

/// Puts the early table in place.
#[link_section = ".init.text"]
fn install_early() {
    set_slots! {
        read_cr2: saves(xen_read_cr2),
        write_cr2: Some(xen_write_cr2),
        read_cr3: Some(xen_read_cr3),
        write_cr3: Some(xen_write_cr3_init),
        flush_tlb_user: Some(xen_flush_tlb),
        flush_tlb_kernel: Some(xen_flush_tlb),
        flush_tlb_one_user: Some(xen_flush_tlb_one_user),
        flush_tlb_multi: Some(xen_flush_tlb_multi),
        pgd_alloc: Some(xen_pgd_alloc),
        pgd_free: Some(xen_pgd_free),
        alloc_pte: Some(xen_alloc_pte_init),
        alloc_pmd: Some(xen_alloc_pmd_init),
        alloc_pud: Some(xen_alloc_pmd_init),
        release_pte: Some(xen_release_pte_init),
        release_pmd: Some(xen_release_pmd_init),
        release_pud: Some(xen_release_pmd_init),
        set_pte: Some(xen_set_pte_init),
        set_pmd: Some(xen_set_pmd_hyper),
        set_pud: Some(xen_set_pud_hyper),
        set_p4d: Some(xen_set_p4d_hyper),
        ptep_modify_prot_start: Some(xen_ptep_modify_prot_start),
        ptep_modify_prot_commit: Some(xen_ptep_modify_prot_commit),
        pte_val: saves(__raw_callee_save_xen_pte_val),
        pmd_val: saves(__raw_callee_save_xen_pmd_val),
        pud_val: saves(__raw_callee_save_xen_pud_val),
        p4d_val: saves(__raw_callee_save_xen_p4d_val),
        pgd_val: saves(__raw_callee_save_xen_pgd_val),
        make_pte: saves(__raw_callee_save_xen_make_pte_init),
        make_pmd: saves(__raw_callee_save_xen_make_pmd),
        make_pud: saves(__raw_callee_save_xen_make_pud),
        make_p4d: saves(__raw_callee_save_xen_make_p4d),
        make_pgd: saves(__raw_callee_save_xen_make_pgd),
        enter_mmap: Some(xen_enter_mmap),
        exit_mmap: Some(xen_exit_mmap),
        lazy_mode_flush: Some(xen_flush_lazy_mmu),
        set_fixmap: Some(xen_set_fixmap),
    }
}

/// Gives `then` the slots in which the run-time table differs from the early one.
macro_rules! with_run_time_slots {
    ($then:ident) => {
        $then! {
            write_cr3: Some(xen_write_cr3),
            alloc_pte: Some(xen_alloc_pte),
            alloc_pmd: Some(xen_alloc_pmd),
            alloc_pud: Some(xen_alloc_pud),
            release_pte: Some(xen_release_pte),
            release_pmd: Some(xen_release_pmd),
            release_pud: Some(xen_release_pud),
            set_pte: Some(xen_set_pte),
            set_pmd: Some(xen_set_pmd),
            set_pud: Some(xen_set_pud),
            set_p4d: Some(xen_set_p4d),
            make_pte: saves(__raw_callee_save_xen_make_pte),
        }
    };
}

/// Puts the run-time table in place.
#[link_section = ".init.text"]
fn install_run_time() {
    with_run_time_slots!(set_slots);
}

/// Whether slot `name` is another one in the run-time table.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(super) fn differs_at_run_time(name: &str) -> bool {
    macro_rules! names {
        ($($slot:ident: $value:expr,)*) => {
            [$(stringify!($slot),)*]
        };
    }
    with_run_time_slots!(names).contains(&name)
}

/// Registers the backend.
///
/// Context: start of day, before the first page-table entry is set.
#[link_section = ".init.text"]
pub(super) fn init() {
    // SAFETY: Only the boot CPU runs.
    unsafe {
        bindings::x86_init.paging.pagetable_init = Some(xen_pagetable_init);
        bindings::x86_init.hyper.init_after_bootmem = Some(xen_after_bootmem);
    }
    install_early();
    init_dummy_page();
}

/// Maps all memory, switches to the run-time table, and moves the p2m list to its final place.
///
/// # Safety
///
/// Called once, during start of day.
#[link_section = ".init.text"]
unsafe extern "C" fn xen_pagetable_init() {
    announce();
    p2m::list::init();
    contiguous::init();
    // Most tables that are written to from here on are known to Xen.
    set_slots! {
        set_pte: Some(xen_set_pte),
    }
    platform::build_kernel_mappings();
    install_run_time();

    boot::finish(&mut may_sleep!());
}

/// Marks the kernel's page tables now that there are `struct page`s.
///
/// # Safety
///
/// Called once, during start of day.
#[link_section = ".init.text"]
unsafe extern "C" fn xen_after_bootmem() {
    // SAFETY: The page allocator was made a moment ago.
    pin::mark_kernel_tables(unsafe { RunTime::begin() });
}

/// Calls a thunk the way a call site does. The value is all ones if the thunk lost a register.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
macro_rules! call_thunk {
    ($thunk:ident, $argument:expr) => {{
        let argument: usize = $argument;
        let result: usize;
        let mut kept: [usize; 8] = [1, 2, 3, argument, 5, 6, 7, 8];

        // SAFETY: The thunk keeps all registers but `rax`, which is what is checked below.
        unsafe {
            core::arch::asm!(
                "call {thunk}",
                thunk = sym $thunk,
                out("rax") result,
                inlateout("rcx") kept[0],
                inlateout("rdx") kept[1],
                inlateout("rsi") kept[2],
                inlateout("rdi") kept[3],
                inlateout("r8") kept[4],
                inlateout("r9") kept[5],
                inlateout("r10") kept[6],
                inlateout("r11") kept[7],
            );
        }
        if kept == [1, 2, 3, argument, 5, 6, 7, 8] {
            result
        } else {
            usize::MAX
        }
    }};
}

/// Returns what the thunk of `pte_val` makes of an entry.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) fn val_by_thunk(entry: usize) -> usize {
    call_thunk!(__raw_callee_save_xen_pte_val, entry)
}

/// Returns what the thunk of `pmd_val` makes of an entry; those above level 2 are the same.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) fn table_val_by_thunk(entry: usize) -> usize {
    call_thunk!(__raw_callee_save_xen_pmd_val, entry)
}

/// Returns what the thunk of `make_pte` makes of a value.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) fn make_by_thunk(value: usize) -> usize {
    call_thunk!(__raw_callee_save_xen_make_pte, value)
}

/// Returns the slots that have to be ours at run time: name, value, and our function.
#[cfg(any(CONFIG_XEN_PV_MMU_RUST_DEBUGFS, CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST))]
pub(super) fn own_slots() -> [(&'static str, usize, usize); 36] {
    macro_rules! slots {
        (
            functions { $($slot:ident: $function:ident,)* }
            thunks { $($thunk_slot:ident: $thunk:ident,)* }
        ) => {
            // SAFETY: The table does not change any more.
            unsafe {
                [
                    $((
                        stringify!($slot),
                        bindings::pv_ops.mmu.$slot.map_or(0, |slot| slot as usize),
                        $function as usize,
                    ),)*
                    $((
                        stringify!($thunk_slot),
                        bindings::pv_ops.mmu.$thunk_slot.func as usize,
                        $thunk as usize,
                    ),)*
                ]
            }
        };
    }

    slots! {
        functions {
        flush_tlb_user: xen_flush_tlb,
        flush_tlb_kernel: xen_flush_tlb,
        flush_tlb_one_user: xen_flush_tlb_one_user,
        flush_tlb_multi: xen_flush_tlb_multi,
        exit_mmap: xen_exit_mmap,
        write_cr2: xen_write_cr2,
        read_cr3: xen_read_cr3,
        write_cr3: xen_write_cr3,
        enter_mmap: xen_enter_mmap,
        pgd_alloc: xen_pgd_alloc,
        pgd_free: xen_pgd_free,
        alloc_pte: xen_alloc_pte,
        alloc_pmd: xen_alloc_pmd,
        alloc_pud: xen_alloc_pud,
        release_pte: xen_release_pte,
        release_pmd: xen_release_pmd,
        release_pud: xen_release_pud,
        set_pte: xen_set_pte,
        set_pmd: xen_set_pmd,
        set_pud: xen_set_pud,
        set_p4d: xen_set_p4d,
        ptep_modify_prot_start: xen_ptep_modify_prot_start,
        ptep_modify_prot_commit: xen_ptep_modify_prot_commit,
        lazy_mode_flush: xen_flush_lazy_mmu,
        set_fixmap: xen_set_fixmap,
        }
        thunks {
        pte_val: __raw_callee_save_xen_pte_val,
        pmd_val: __raw_callee_save_xen_pmd_val,
        pud_val: __raw_callee_save_xen_pud_val,
        p4d_val: __raw_callee_save_xen_p4d_val,
        pgd_val: __raw_callee_save_xen_pgd_val,
        make_pte: __raw_callee_save_xen_make_pte,
        make_pmd: __raw_callee_save_xen_make_pmd,
        make_pud: __raw_callee_save_xen_make_pud,
        make_p4d: __raw_callee_save_xen_make_p4d,
        make_pgd: __raw_callee_save_xen_make_pgd,
        read_cr2: xen_read_cr2_direct,
        }
    }
}
