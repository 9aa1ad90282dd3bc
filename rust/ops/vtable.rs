// SPDX-License-Identifier: GPL-2.0-only

//! The two tables of paravirt operations, early and run-time.

use crate::ops::hooks::*;
use crate::platform::early::early_memory;
use crate::platform::early::phase::{
    Early,
    RunTime, //
};
use crate::platform::kernel::kernel_data;
use crate::platform::paging::dummy_page;
use crate::{
    boot,
    contiguous,
    p2m,
    pin, //
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

/// Passes to `then` the slots of `pv_ops.mmu` that the backend sets, one a line: the early
/// function, after `=>` the one of the run-time table, and after `until` the one that C installs
/// later.
macro_rules! with_slots {
    ($then:ident) => {
        $then! {
            function flush_tlb_user: xen_flush_tlb;
            function flush_tlb_kernel: xen_flush_tlb;
            function flush_tlb_one_user: xen_flush_tlb_one_user;
            function flush_tlb_multi: xen_flush_tlb_multi;
            function exit_mmap: xen_exit_mmap;
            function write_cr2: xen_write_cr2;
            function read_cr3: xen_read_cr3;
            function write_cr3: xen_write_cr3_init => xen_write_cr3;
            function enter_mmap: xen_enter_mmap;
            function pgd_alloc: xen_pgd_alloc;
            function pgd_free: xen_pgd_free;
            function alloc_pte: xen_alloc_pte_init => xen_alloc_pte;
            function alloc_pmd: xen_alloc_pmd_init => xen_alloc_pmd;
            function alloc_pud: xen_alloc_pmd_init => xen_alloc_pud;
            function release_pte: xen_release_pte_init => xen_release_pte;
            function release_pmd: xen_release_pmd_init => xen_release_pmd;
            function release_pud: xen_release_pmd_init => xen_release_pud;
            function set_pte: xen_set_pte_init => xen_set_pte;
            function set_pmd: xen_set_pmd_hyper => xen_set_pmd;
            function set_pud: xen_set_pud_hyper => xen_set_pud;
            function set_p4d: xen_set_p4d_hyper => xen_set_p4d;
            function ptep_modify_prot_start: xen_ptep_modify_prot_start;
            function ptep_modify_prot_commit: xen_ptep_modify_prot_commit;
            function lazy_mode_flush: xen_flush_lazy_mmu;
            function set_fixmap: xen_set_fixmap;
            thunk pte_val: __raw_callee_save_xen_pte_val;
            thunk pmd_val: __raw_callee_save_xen_pmd_val;
            thunk pud_val: __raw_callee_save_xen_pud_val;
            thunk p4d_val: __raw_callee_save_xen_p4d_val;
            thunk pgd_val: __raw_callee_save_xen_pgd_val;
            thunk make_pte: __raw_callee_save_xen_make_pte_init => __raw_callee_save_xen_make_pte;
            thunk make_pmd: __raw_callee_save_xen_make_pmd;
            thunk make_pud: __raw_callee_save_xen_make_pud;
            thunk make_p4d: __raw_callee_save_xen_make_p4d;
            thunk make_pgd: __raw_callee_save_xen_make_pgd;
            thunk read_cr2: xen_read_cr2 until xen_read_cr2_direct;
        }
    };
}

/// Returns what is stored in a slot to have `$function` called.
macro_rules! slot_value {
    (function $function:ident) => {
        Some($function)
    };
    (thunk $thunk:ident) => {
        saves($thunk)
    };
}

/// Puts the early table in place.
#[link_section = ".init.text"]
fn install_early(_: Early) {
    macro_rules! set_all {
        ($($kind:ident $slot:ident: $early:ident $(=> $run_time:ident)? $(until $c:ident)?;)*) => {
            // SAFETY: Nobody else runs, as `Early` shows, and no call site is patched yet.
            unsafe { $(bindings::pv_ops.mmu.$slot = slot_value!($kind $early);)* }
        };
    }
    with_slots!(set_all);
}

/// Puts the run-time table in place.
#[link_section = ".init.text"]
fn install_run_time(_: Early) {
    macro_rules! set_differing {
        ($($kind:ident $slot:ident: $early:ident $(=> $run_time:ident)? $(until $c:ident)?;)*) => {
            // SAFETY: Nobody else runs, as `Early` shows, and no call site is patched yet.
            unsafe { $($(bindings::pv_ops.mmu.$slot = slot_value!($kind $run_time);)?)* }
        };
    }
    with_slots!(set_differing);
}

/// Whether slot `name` is another one in the run-time table.
///
/// Context: any.
#[cfg(CONFIG_XEN_PV_MMU_RUST_DEBUGFS)]
pub(super) fn differs_at_run_time(name: &str) -> bool {
    macro_rules! names {
        ($($kind:ident $slot:ident: $early:ident $(=> $run_time:ident)? $(until $c:ident)?;)*) => {
            [$($((stringify!($slot), stringify!($run_time)),)?)*]
        };
    }
    with_slots!(names).iter().any(|(slot, _)| *slot == name)
}

/// Registers the backend.
///
/// Context: start of day, before the first page-table entry is set.
#[link_section = ".init.text"]
pub(super) fn init(early: Early) {
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe {
        bindings::x86_init.paging.pagetable_init = Some(xen_pagetable_init);
        bindings::x86_init.hyper.init_after_bootmem = Some(xen_after_bootmem);
    }
    install_early(early);
    dummy_page::init(early);
}

/// Maps all memory, switches to the run-time table, and moves the p2m list to its final place.
///
/// # Safety
///
/// Called once, during start of day.
#[link_section = ".init.text"]
unsafe extern "C" fn xen_pagetable_init() {
    // SAFETY: By the contract of this function, which `setup_arch()` calls.
    let early = unsafe { Early::new() };

    kernel_data::announce();
    p2m::list::init();
    contiguous::init();
    // Most tables that are written to from here on are known to Xen.
    // SAFETY: Nobody else runs, as `early` shows, and no call site is patched yet.
    unsafe { bindings::pv_ops.mmu.set_pte = Some(xen_set_pte) };
    early_memory::build_kernel_mappings(early);
    install_run_time(early);

    boot::finish(early, &mut may_sleep!());
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
///
/// Context: any.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) fn val_by_thunk(entry: usize) -> usize {
    call_thunk!(__raw_callee_save_xen_pte_val, entry)
}

/// Returns what the thunk of `pmd_val` makes of an entry; those above level 2 are the same.
///
/// Context: any.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) fn table_val_by_thunk(entry: usize) -> usize {
    call_thunk!(__raw_callee_save_xen_pmd_val, entry)
}

/// Returns what the thunk of `make_pte` makes of a value.
///
/// Context: any.
#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
pub(crate) fn make_by_thunk(value: usize) -> usize {
    call_thunk!(__raw_callee_save_xen_make_pte, value)
}

/// Returns the slots that the backend owns at run time: name, value, and the function that has to
/// be there.
///
/// Context: run time, when the table does not change any more.
#[cfg(any(CONFIG_XEN_PV_MMU_RUST_DEBUGFS, CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST))]
pub(super) fn own_slots() -> impl ExactSizeIterator<Item = (&'static str, usize, usize)> {
    macro_rules! address {
        (function $slot:ident) => {
            bindings::pv_ops.mmu.$slot.map_or(0, |slot| slot as usize)
        };
        (thunk $slot:ident) => {
            bindings::pv_ops.mmu.$slot.func as usize
        };
    }
    macro_rules! last {
        ($only:ident) => {
            $only
        };
        ($early:ident $later:ident) => {
            $later
        };
    }
    macro_rules! slots {
        ($($kind:ident $slot:ident: $early:ident $(=> $run_time:ident)? $(until $c:ident)?;)*) => {
            // SAFETY: The table does not change any more.
            unsafe {
                [$((
                    stringify!($slot),
                    address!($kind $slot),
                    last!($early $($run_time)? $($c)?) as usize,
                ),)*]
            }
        };
    }
    with_slots!(slots).into_iter()
}
