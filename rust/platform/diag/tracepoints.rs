// SPDX-License-Identifier: GPL-2.0-only

//! The trace events of the Xen PV MMU, `include/trace/events/xen.h`.
//!
//! There is a function for each. It is safe to call, and costs a nop while nobody traces.
//!
//! Context: any but `noinstr` code, for all functions here.

use crate::addr::{
    Paddr,
    Pfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::Level;
use crate::platform::diag::queue_events::{
    ExtendResult,
    FlushReason, //
};
use crate::platform::diag::stats::{
    self,
    Counter, //
};
use crate::platform::kernel::callback::Callback;
use crate::platform::kernel::mm::Mm;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::paging::root::Root;
use crate::platform::xen::abi::Call;
use kernel::bindings;

impl FlushReason {
    const fn raw(self) -> bindings::xen_mc_flush_reason {
        match self {
            FlushReason::Batch => bindings::xen_mc_flush_reason_XEN_MC_FL_BATCH,
            FlushReason::Args => bindings::xen_mc_flush_reason_XEN_MC_FL_ARGS,
            FlushReason::Callback => bindings::xen_mc_flush_reason_XEN_MC_FL_CALLBACK,
        }
    }

    const fn counter(self) -> Counter {
        match self {
            FlushReason::Batch => Counter::FlushCalls,
            FlushReason::Args => Counter::FlushArgs,
            FlushReason::Callback => Counter::FlushDeferred,
        }
    }
}

impl ExtendResult {
    const fn raw(self) -> bindings::xen_mc_extend_args {
        match self {
            ExtendResult::Extended => bindings::xen_mc_extend_args_XEN_MC_XE_OK,
            ExtendResult::OtherCall => bindings::xen_mc_extend_args_XEN_MC_XE_BAD_OP,
            ExtendResult::NoSpace => bindings::xen_mc_extend_args_XEN_MC_XE_NO_SPACE,
        }
    }
}

/// Declares events: the function to call, what it counts, and the event of C with the type and
/// the value of each of its arguments.
macro_rules! events {
    ($(
        $(#[$attr:meta])*
        fn $name:ident($($arg:ident: $type:ty),*) $(counts $counter:expr)? =>
            $event:ident($($raw_arg:ident: $raw_type:ty = $value:expr),*);
    )*) => {
        mod raw {
            use kernel::bindings;
            use kernel::tracepoint::declare_trace;

            declare_trace! {$(
                /// Fires the event.
                ///
                /// # Safety
                ///
                /// Probes may read what the arguments point to.
                pub(super) unsafe fn $event($($raw_arg: $raw_type),*);
            )*}
        }

        $(
            $(#[$attr])*
            #[inline(always)]
            pub(crate) fn $name($($arg: $type),*) {
                $(stats::count($counter);)?
                // SAFETY: The arguments are valid; probes only read what they point to.
                unsafe { raw::$event($($value),*) }
            }
        )*
    };
}

events! {
    /// A batch is opened; `flags` is the saved interrupt state.
    fn mc_batch(flags: usize) => xen_mc_batch(flags: usize = flags);
    /// A batch is closed.
    fn mc_issue(flush: bool, flags: usize) =>
        xen_mc_issue(flush: bool = flush, flags: usize = flags);
    /// A call with `nr_args` arguments is in the queue.
    fn mc_entry(call: &mut Call, nr_args: u32) => xen_mc_entry(
        call: *mut bindings::multicall_entry = (&raw mut *call).cast(),
        nr_args: u32 = nr_args
    );
    /// A place for a call with `bytes` of argument space is taken.
    fn mc_entry_alloc(bytes: usize) => xen_mc_entry_alloc(bytes: usize = bytes);
    /// A function will be called once the queue is flushed.
    fn mc_callback(callback: &Callback) => xen_mc_callback(
        function: bindings::xen_mc_callback_fn_t = Some(callback.parts().0),
        data: *mut core::ffi::c_void = callback.parts().1
    );
    /// The queue is flushed early.
    fn mc_flush_reason(reason: FlushReason) counts reason.counter() =>
        xen_mc_flush_reason(reason: bindings::xen_mc_flush_reason = reason.raw());
    /// The queue is flushed.
    fn mc_flush(calls: u32, arg_bytes: u32, callbacks: u32) counts Counter::Flush =>
        xen_mc_flush(
            calls: u32 = calls,
            arg_bytes: u32 = arg_bytes,
            callbacks: u32 = callbacks
        );
    /// An attempt was made to add arguments to the last call.
    fn mc_extend(op: usize, bytes: usize, result: ExtendResult) => xen_mc_extend_args(
        op: usize = op,
        bytes: usize = bytes,
        result: bindings::xen_mc_extend_args = result.raw()
    );
    /// An entry of level 1 is set.
    fn set_pte(ptr: EntryPtr, entry: MachineEntry) => xen_mmu_set_pte(
        ptr: *mut bindings::pte_t = ptr.as_ptr(),
        entry: bindings::pte_t = bindings::pte_t { pte: entry.raw() }
    );
    /// An entry of level 2 is set.
    fn set_pmd(ptr: EntryPtr, entry: MachineEntry) => xen_mmu_set_pmd(
        ptr: *mut bindings::pmd_t = ptr.as_ptr(),
        entry: bindings::pmd_t = bindings::pmd_t { pmd: entry.raw() }
    );
    /// An entry of level 3 is set.
    fn set_pud(ptr: EntryPtr, entry: MachineEntry) => xen_mmu_set_pud(
        ptr: *mut bindings::pud_t = ptr.as_ptr(),
        entry: bindings::pud_t = bindings::pud_t { pud: entry.raw() }
    );
    /// An entry of level 4 is set, and that of the user root if there is one.
    fn set_p4d(ptr: EntryPtr, user: Option<EntryPtr>, entry: MachineEntry) => xen_mmu_set_p4d(
        ptr: *mut bindings::p4d_t = ptr.as_ptr(),
        user_ptr: *mut bindings::p4d_t = user.map_or(core::ptr::null_mut(), EntryPtr::as_ptr),
        entry: bindings::p4d_t = bindings::p4d_t { p4d: entry.raw() }
    );
    /// A change of protection begins.
    fn modify_prot_start(mm: Mm, address: Vaddr, ptr: EntryPtr, entry: MachineEntry) =>
        xen_mmu_ptep_modify_prot_start(
            mm: *mut bindings::mm_struct = mm.as_ptr(),
            address: usize = address.raw(),
            ptr: *mut bindings::pte_t = ptr.as_ptr(),
            entry: bindings::pte_t = bindings::pte_t { pte: entry.raw() }
        );
    /// A change of protection is carried out.
    fn modify_prot_commit(mm: Mm, address: Vaddr, ptr: EntryPtr, entry: MachineEntry) =>
        xen_mmu_ptep_modify_prot_commit(
            mm: *mut bindings::mm_struct = mm.as_ptr(),
            address: usize = address.raw(),
            ptr: *mut bindings::pte_t = ptr.as_ptr(),
            entry: bindings::pte_t = bindings::pte_t { pte: entry.raw() }
        );
    /// A page becomes a page table.
    fn alloc_ptpage(mm: Mm, pfn: Pfn, level: Level, pinned: bool) counts Counter::AllocTable =>
        xen_mmu_alloc_ptpage(
            mm: *mut bindings::mm_struct = mm.as_ptr(),
            pfn: usize = pfn.raw(),
            level: u32 = level.trace_id(),
            pinned: bool = pinned
        );
    /// A page is no page table any more.
    fn release_ptpage(pfn: Pfn, level: Level, pinned: bool) counts Counter::ReleaseTable =>
        xen_mmu_release_ptpage(
            pfn: usize = pfn.raw(),
            level: u32 = level.trace_id(),
            pinned: bool = pinned
        );
    /// A tree of page tables is pinned.
    fn pgd_pin(mm: Mm, root: Root) counts Counter::Pin => xen_mmu_pgd_pin(
        mm: *mut bindings::mm_struct = mm.as_ptr(),
        root: *mut bindings::pgd_t = root.table().vaddr().raw() as *mut _
    );
    /// A tree of page tables is unpinned.
    fn pgd_unpin(mm: Mm, root: Root) counts Counter::Unpin => xen_mmu_pgd_unpin(
        mm: *mut bindings::mm_struct = mm.as_ptr(),
        root: *mut bindings::pgd_t = root.table().vaddr().raw() as *mut _
    );
    /// One page is flushed from the local TLB.
    fn flush_tlb_one_user(address: Vaddr) counts Counter::FlushPage =>
        xen_mmu_flush_tlb_one_user(address: usize = address.raw());
    /// The TLBs of several CPUs are flushed.
    fn flush_tlb_multi(
        cpus: *const bindings::cpumask,
        mm: *mut bindings::mm_struct,
        start: usize,
        end: usize
    ) counts Counter::FlushCpus => xen_mmu_flush_tlb_multi(
        cpus: *const bindings::cpumask = cpus,
        mm: *mut bindings::mm_struct = mm,
        start: usize = start,
        end: usize = end
    );
    /// A root table is loaded.
    fn write_cr3(kernel: bool, root: Option<Paddr>) counts Counter::LoadRoot =>
        xen_mmu_write_cr3(
            kernel: bool = kernel,
            cr3: usize = root.map_or(0, Paddr::raw)
        );
}
