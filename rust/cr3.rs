// SPDX-License-Identifier: GPL-2.0-only

//! Loads root page tables.
//!
//! Each CPU has two values. `xen_cr3` is the root that was requested last; only its own CPU may
//! rely on it. `LOADED_CR3` is the root that Xen is known to use, which lags behind while the
//! hypercall is queued; other CPUs look at this one. Interrupts are off while the two differ, or
//! while a queued hypercall has not loaded the root yet.

#![forbid(unsafe_code)]

use crate::addr::{
    Paddr,
    Pfn, //
};
use crate::multicall::{
    is_queue_empty,
    Batch,
    Deferred,
    Issue, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::{
    self,
    IrqsOff, //
};
use crate::platform::cpu::percpu::{
    xen_cr3,
    LOADED_CR3, //
};
use crate::platform::diag::tracepoints;
use crate::platform::kernel::switches;
use crate::platform::paging::root::Root;
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::ExtOp;
use crate::platform::xen::hypercall;
use crate::ptpage::mfn_of_table;
use kernel::macros::init_text;

/// Returns the address of the root that was requested last on this CPU.
///
/// Context: any.
#[inline(always)]
pub(crate) fn read() -> Paddr {
    Paddr::new(xen_cr3.read())
}

fn load_kernel_root(batch: &mut Batch<'_>, root: Pfn) {
    xen_cr3.write(root.paddr().raw());
    batch.ext(ExtOp::new_kernel_root(mfn_of_table(root)));
    batch.after(Deferred::RootLoaded(root.paddr()));
}

/// Loads `root` and its user root.
///
/// If nothing is queued, both are loaded at once. During a context switch they could wait, but most
/// often nothing else is queued before its end, so the queue would only add cost. Operations that
/// are already queued may concern the roots, so they come first.
///
/// Context: preemption is off.
pub(crate) fn write(root: Root, caller: CallContext<'_>) {
    if context::is_preemptible() {
        kernel::pr_warn!("root table loaded with preemption on\n");
    }
    let (kernel, user) = (root.table().pfn(), root.user_root().map(Table::pfn));
    tracepoints::write_cr3(true, Some(kernel.paddr()));
    tracepoints::write_cr3(false, user.map(Pfn::paddr));

    let load_user = ExtOp::new_user_root(user.map(mfn_of_table));
    if switches::writes_cr3_past_queue() && is_queue_empty() && load_now(kernel, load_user) {
        return;
    }
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, kernel);
    batch.ext(load_user);
}

/// Loads both roots without the queue; returns whether Xen loaded both.
fn load_now(kernel: Pfn, load_user: ExtOp) -> bool {
    let address = kernel.paddr().raw();
    let load_kernel = ExtOp::new_kernel_root(mfn_of_table(kernel));
    let _irqs = IrqsOff::new();

    xen_cr3.write(address);
    // If Xen refuses, the caller tries again through the queue, which reports the refusal.
    let loaded = hypercall::mmuext_ops([load_kernel, load_user]).is_ok();
    if loaded {
        LOADED_CR3.write(address);
    }
    loaded
}

/// Loads the root table in frame `root` while there is no user mode yet.
///
/// Context: start of day.
#[init_text]
pub(crate) fn write_early(root: Pfn, caller: CallContext<'_>) {
    tracepoints::write_cr3(true, Some(root.paddr()));
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, root);
}
