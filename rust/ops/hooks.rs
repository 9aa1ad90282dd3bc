// SPDX-License-Identifier: GPL-2.0-only

//! The functions of the tables of paravirt operations.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::{
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::level::Level;
use crate::platform::cpu::context::PreemptOff;
use crate::platform::diag::tracepoints;
use crate::platform::early::phase::Early;
use crate::platform::kernel::mm::{
    self,
    FlushRequest,
    Mm,
    Vma, //
};
use crate::platform::kernel::{
    address,
    kernel_data, //
};
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::root::{
    Root,
    RootEntryPtr, //
};
use crate::platform::paging::table::Table;
use crate::{
    convert,
    cr3,
    fixmap,
    multicall,
    pin,
    pte,
    ptpage,
    tlb,
    upper, //
};
use kernel::bindings;
use kernel::prelude::*;

/// Defines functions of the tables. C passes their arguments as the paravirt interface defines
/// (`struct pv_mmu_ops`): an entry is in a table that stays mapped during the call.
macro_rules! hooks {
    ($(
        $(#[$attr:meta])*
        fn $name:ident($($arg:ident: $type:ty),*) $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$attr])*
        ///
        /// # Safety
        ///
        /// The arguments are those that the paravirt interface defines.
        #[no_mangle]
        pub(super) unsafe extern "C" fn $name($($arg: $type),*) $(-> $ret)? $body
    )*};
}

/// Takes over a pointer to an entry.
macro_rules! entry_ptr {
    ($pointer:ident) => {
        // SAFETY: By the contract of the hook, the entry is in a table that stays mapped during the
        // call.
        unsafe { EntryPtr::from_raw($pointer) }
    };
}

/// Takes over a pointer to an address space.
macro_rules! mm {
    ($pointer:ident) => {
        // SAFETY: By the contract of the hook, the address space exists during the call.
        unsafe { Mm::from_raw($pointer) }
    };
}

hooks! {
    /// Sets an entry of level 1 (`set_pte`).
    ///
    /// Context: any; the caller holds the lock of the table, or nobody else uses the table.
    fn xen_set_pte(ptep: *mut bindings::pte_t, pte: bindings::pte_t) {
        let (ptr, entry) = (entry_ptr!(ptep), MachineEntry::from_raw(pte.pte));
        tracepoints::set_pte(ptr, entry);
        pte::set_now(ptr, entry, caller!());
    }

    /// Sets an entry of level 2 (`set_pmd`).
    ///
    /// Context: any but NMIs; the caller holds the lock of the table, or nobody else uses the
    /// table.
    fn xen_set_pmd(pmdp: *mut bindings::pmd_t, pmd: bindings::pmd_t) {
        let (ptr, entry) = (entry_ptr!(pmdp), MachineEntry::from_raw(pmd.pmd));
        tracepoints::set_pmd(ptr, entry);
        upper::set(ptr, entry, Level::L2, caller!());
    }

    /// Sets an entry of level 3 (`set_pud`).
    ///
    /// Context: any but NMIs; the caller holds the lock of the table, or nobody else uses the
    /// table.
    fn xen_set_pud(pudp: *mut bindings::pud_t, pud: bindings::pud_t) {
        let (ptr, entry) = (entry_ptr!(pudp), MachineEntry::from_raw(pud.pud));
        tracepoints::set_pud(ptr, entry);
        upper::set(ptr, entry, Level::L3, caller!());
    }

    /// Sets an entry of the root (`set_p4d`).
    ///
    /// Context: any but NMIs; the caller holds `mm->page_table_lock`, or nobody else uses the tree.
    fn xen_set_p4d(p4dp: *mut bindings::p4d_t, p4d: bindings::p4d_t) {
        let ptr = entry_ptr!(p4dp);
        // SAFETY: A PV guest has four levels, so an entry of this level is in a root.
        let at = unsafe { RootEntryPtr::from_ptr(ptr) };
        upper::set_root(at, MachineEntry::from_raw(p4d.p4d), caller!());
    }

    /// Returns the entry whose protection is about to change (`ptep_modify_prot_start`).
    ///
    /// The entry stays as it is, because the commit keeps bits that the CPU sets meanwhile.
    ///
    /// Context: the caller holds the lock of the table.
    fn xen_ptep_modify_prot_start(
        vma: *mut bindings::vm_area_struct,
        addr: usize,
        ptep: *mut bindings::pte_t
    ) -> bindings::pte_t {
        let ptr = entry_ptr!(ptep);
        let entry = ptr.read();
        // SAFETY: The mapping's address space is locked during the call.
        let mm = unsafe { Vma::from_raw(vma) }.mm();
        tracepoints::modify_prot_start(mm, Vaddr::new(addr), ptr, entry);
        bindings::pte_t { pte: entry.raw() }
    }

    /// Changes the protection of an entry (`ptep_modify_prot_commit`).
    ///
    /// Context: the caller holds the lock of the table.
    fn xen_ptep_modify_prot_commit(
        vma: *mut bindings::vm_area_struct,
        addr: usize,
        ptep: *mut bindings::pte_t,
        pte: bindings::pte_t
    ) {
        let (ptr, entry) = (entry_ptr!(ptep), MachineEntry::from_raw(pte.pte));
        // SAFETY: The mapping's address space is locked during the call.
        let mm = unsafe { Vma::from_raw(vma) }.mm();
        tracepoints::modify_prot_commit(mm, Vaddr::new(addr), ptr, entry);
        pte::modify_protection(mm, Vaddr::new(addr), ptr, entry, caller!());
    }

    /// Makes a page a table of level 1 (`alloc_pte`).
    ///
    /// Context: any but NMIs; does not sleep. Nobody else uses the page, which is not linked yet.
    fn xen_alloc_pte(mm: *mut bindings::mm_struct, pfn: usize) {
        ptpage::alloc(mm!(mm), Pfn::new(pfn), Level::L1, caller!());
    }

    /// Makes a page a table of level 2 (`alloc_pmd`).
    ///
    /// Context: any but NMIs; does not sleep. Nobody else uses the page, which is not linked yet.
    fn xen_alloc_pmd(mm: *mut bindings::mm_struct, pfn: usize) {
        ptpage::alloc(mm!(mm), Pfn::new(pfn), Level::L2, caller!());
    }

    /// Makes a page a table of level 3 (`alloc_pud`).
    ///
    /// Context: any but NMIs; does not sleep. Nobody else uses the page, which is not linked yet.
    fn xen_alloc_pud(mm: *mut bindings::mm_struct, pfn: usize) {
        ptpage::alloc(mm!(mm), Pfn::new(pfn), Level::L3, caller!());
    }

    /// Makes a table of level 1 an ordinary page (`release_pte`).
    ///
    /// Context: any but NMIs; does not sleep. The table is no longer linked.
    fn xen_release_pte(pfn: usize) {
        ptpage::release(Pfn::new(pfn), Level::L1, caller!());
    }

    /// Makes a table of level 2 an ordinary page (`release_pmd`).
    ///
    /// Context: any but NMIs; does not sleep. The table is no longer linked.
    fn xen_release_pmd(pfn: usize) {
        ptpage::release(Pfn::new(pfn), Level::L2, caller!());
    }

    /// Makes a table of level 3 an ordinary page (`release_pud`).
    ///
    /// Context: any but NMIs; does not sleep. The table is no longer linked.
    fn xen_release_pud(pfn: usize) {
        ptpage::release(Pfn::new(pfn), Level::L3, caller!());
    }

    /// Gives a new address space its user root (`pgd_alloc`).
    ///
    /// Returns 0 or `-ENOMEM`.
    ///
    /// Context: may sleep.
    fn xen_pgd_alloc(mm: *mut bindings::mm_struct) -> i32 {
        match ptpage::create_user_root(mm!(mm), &mut may_sleep!()) {
            Ok(()) => 0,
            Err(ptpage::NoMemory) => ENOMEM.to_errno(),
        }
    }

    /// Frees the user root of an address space (`pgd_free`).
    ///
    /// Context: any but NMIs, because a context switch may end an address space; does not sleep. No
    /// vCPU uses the tree.
    fn xen_pgd_free(_mm: *mut bindings::mm_struct, pgd: *mut bindings::pgd_t) {
        // SAFETY: `pgd` is the root of an address space, which is freed after this call.
        ptpage::free_user_root(unsafe { Root::from_table(Table::from_raw(pgd)) });
    }

    /// Pins the tree of an address space (`enter_mmap`).
    ///
    /// Context: process context; does not sleep, because `execve` holds `task_lock()`. The caller
    /// does not hold `mm->page_table_lock`.
    fn xen_enter_mmap(mm: *mut bindings::mm_struct) {
        pin::enter(mm!(mm), caller!());
    }

    /// Unpins the tree of an address space (`exit_mmap`).
    ///
    /// Context: may sleep; no task uses the address space any more. The caller does not hold
    /// `mm->page_table_lock`.
    fn xen_exit_mmap(mm: *mut bindings::mm_struct) {
        // A section that was not left would still be active here.
        #[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
        kernel::warn_on!(crate::platform::cpu::context::is_lazy_mmu_mode_active());
        pin::exit(mm!(mm), &mut may_sleep!());
    }

    /// Returns the root that was loaded last (`read_cr3`).
    ///
    /// Context: any.
    fn xen_read_cr3() -> usize {
        cr3::read().raw()
    }

    /// Loads a root (`write_cr3`).
    ///
    /// Context: any but NMIs, with preemption off.
    fn xen_write_cr3(cr3: usize) {
        let pgd = address::phys_to_virt(Paddr::new(cr3)).raw() as *mut bindings::pgd_t;
        // SAFETY: Generic code loads the root of an address space that exists, or the kernel's.
        let root = unsafe { Root::from_table(Table::from_raw(pgd)) };
        cr3::write(root, caller!());
    }

    /// Flushes the TLB of this CPU (`flush_tlb_user`, `flush_tlb_kernel`).
    ///
    /// Context: any.
    fn xen_flush_tlb() {
        tlb::flush_local(caller!());
    }

    /// Flushes one page from the TLB of this CPU (`flush_tlb_one_user`).
    ///
    /// Context: any.
    fn xen_flush_tlb_one_user(addr: usize) {
        tracepoints::flush_tlb_one_user(Vaddr::new(addr));
        tlb::flush_page_local(Vaddr::new(addr), caller!());
    }

    /// Flushes the TLBs of several CPUs (`flush_tlb_multi`).
    ///
    /// Context: any but NMIs, with preemption off.
    fn xen_flush_tlb_multi(
        cpus: *const bindings::cpumask,
        info: *const bindings::flush_tlb_info
    ) {
        // SAFETY: By the contract of the hook, `info` points to a request during the call.
        let FlushRequest { mm, start, end, range } = unsafe { mm::flush_request(info) };
        tracepoints::flush_tlb_multi(cpus, mm, start, end);
        // SAFETY: By the contract of the hook, `cpus` points to a CPU mask during the call.
        let words = unsafe { mm::online_words(cpus) };
        if let Some(words) = words {
            tlb::flush_vcpus(words, range, caller!());
        }
    }

    /// Issues all updates that wait (`lazy_mode_flush`).
    ///
    /// Context: any but NMIs.
    fn xen_flush_lazy_mmu() {
        let _preempt = PreemptOff::new(caller!());
        if !multicall::is_queue_empty() {
            multicall::flush();
        }
    }

    /// Sets a fixed mapping (`set_fixmap`).
    ///
    /// Context: any but interrupts.
    fn xen_set_fixmap(idx: u32, phys: bindings::phys_addr_t, prot: bindings::pgprot_t) {
        fixmap::set(
            idx,
            phys as usize,
            Protection::from_raw(prot.pgprot),
            caller!(),
        );
    }
}

/// Sets the fault address that the next read of CR2 returns (`write_cr2`).
///
/// Context: any, with preemption off, on the way into or out of an exception or NMI.
///
/// # Safety
///
/// None; `unsafe` because C calls it. Nothing in it may be instrumented, because it runs while an
/// exception is being handled.
#[no_mangle]
#[link_section = ".noinstr.text"]
pub(super) unsafe extern "C" fn xen_write_cr2(cr2: usize) {
    kernel_data::set_vcpu_cr2(cr2);
}

/// Defines functions of the early table, which are freed after boot.
macro_rules! early_hooks {
    ($($(#[$attr:meta])* fn $name:ident($($arg:ident: $type:ty),*) $body:block)*) => {
        hooks! {$(
            $(#[$attr])*
            #[link_section = ".init.text"]
            fn $name($($arg: $type),*) $body
        )*}
    };
}

early_hooks! {
    /// Sets an entry of level 1 while the first tables are built (`set_pte`).
    ///
    /// Context: start of day.
    fn xen_set_pte_init(ptep: *mut bindings::pte_t, pte: bindings::pte_t) {
        let entry = MachineEntry::from_raw(pte.pte);
        // SAFETY: The early table, in which this hook is, is replaced during start of day.
        pte::set_early(unsafe { Early::new() }, entry_ptr!(ptep), entry, caller!());
    }

    /// Sets an entry of level 2 while all tables are the kernel's own (`set_pmd`).
    ///
    /// Context: start of day.
    fn xen_set_pmd_hyper(pmdp: *mut bindings::pmd_t, pmd: bindings::pmd_t) {
        let entry = MachineEntry::from_raw(pmd.pmd);
        upper::set_known(entry_ptr!(pmdp).assume_pinned(), entry, Level::L2, caller!());
    }

    /// Sets an entry of level 3 while all tables are the kernel's own (`set_pud`).
    ///
    /// Context: start of day.
    fn xen_set_pud_hyper(pudp: *mut bindings::pud_t, pud: bindings::pud_t) {
        let entry = MachineEntry::from_raw(pud.pud);
        upper::set_known(entry_ptr!(pudp).assume_pinned(), entry, Level::L3, caller!());
    }

    /// Sets an entry of the kernel's root (`set_p4d`).
    ///
    /// Context: start of day.
    fn xen_set_p4d_hyper(p4dp: *mut bindings::p4d_t, p4d: bindings::p4d_t) {
        let ptr = entry_ptr!(p4dp).assume_pinned();
        upper::set_root_early(ptr, MachineEntry::from_raw(p4d.p4d), caller!());
    }

    /// Makes a page a table of level 1 (`alloc_pte`).
    ///
    /// Context: start of day.
    fn xen_alloc_pte_init(_mm: *mut bindings::mm_struct, pfn: usize) {
        ptpage::alloc_early(Pfn::new(pfn), Level::L1, caller!());
    }

    /// Makes a page a table of level 2 or 3 (`alloc_pmd`, `alloc_pud`).
    ///
    /// Context: start of day.
    fn xen_alloc_pmd_init(_mm: *mut bindings::mm_struct, pfn: usize) {
        ptpage::alloc_early(Pfn::new(pfn), Level::L2, caller!());
    }

    /// Makes a table of level 1 an ordinary page (`release_pte`).
    ///
    /// Context: start of day.
    fn xen_release_pte_init(pfn: usize) {
        ptpage::release_early(Pfn::new(pfn), Level::L1, caller!());
    }

    /// Makes a table of level 2 or 3 an ordinary page (`release_pmd`, `release_pud`).
    ///
    /// Context: start of day.
    fn xen_release_pmd_init(pfn: usize) {
        ptpage::release_early(Pfn::new(pfn), Level::L2, caller!());
    }

    /// Loads a root while there is no user mode (`write_cr3`).
    ///
    /// Context: start of day.
    fn xen_write_cr3_init(cr3: usize) {
        cr3::write_early(Paddr::new(cr3).pfn(), caller!());
    }
}

/// Defines the conversions of one level; the thunks in `convert.S` call them.
macro_rules! conversions {
    ($($val:ident, $make:ident: $type:ident, $field:ident;)*) => {$(
        /// Returns an entry as generic code sees it.
        ///
        /// Context: any.
        ///
        /// # Safety
        ///
        /// None; `unsafe` because C declares it.
        #[export]
        unsafe extern "C" fn $val(entry: bindings::$type) -> usize {
            convert::to_pseudo(MachineEntry::from_raw(entry.$field)).raw()
        }

        /// Returns the entry to write into a table.
        ///
        /// Context: any.
        ///
        /// # Safety
        ///
        /// None; `unsafe` because C declares it.
        #[export]
        unsafe extern "C" fn $make(value: usize) -> bindings::$type {
            let entry = convert::to_machine(PseudoEntry::from_raw(value));
            bindings::$type { $field: entry.raw() }
        }
    )*};
}

conversions! {
    xen_pte_val, xen_make_pte: pte_t, pte;
    xen_pmd_val, xen_make_pmd: pmd_t, pmd;
    xen_pud_val, xen_make_pud: pud_t, pud;
    xen_p4d_val, xen_make_p4d: p4d_t, p4d;
    xen_pgd_val, xen_make_pgd: pgd_t, pgd;
}

/// Returns the entry to write into a table while the direct map is built.
///
/// Context: start of day.
///
/// # Safety
///
/// None; `unsafe` because C declares it.
#[export]
unsafe extern "C" fn xen_make_pte_init(value: usize) -> bindings::pte_t {
    let entry = convert::to_machine_early(PseudoEntry::from_raw(value));
    bindings::pte_t { pte: entry.raw() }
}
