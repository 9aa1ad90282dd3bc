// SPDX-License-Identifier: GPL-2.0

//! Loads root page tables.
//!
//! There are two values for each CPU. `xen_cr3` is the root that was asked for last; its own CPU
//! may rely on it. `LOADED_CR3` is the root that Xen is known to use, which lags behind while
//! the hypercall is queued; that is the one to ask for another CPU. Interrupts are off while they
//! differ from each other, or from what is queued.

#![forbid(unsafe_code)]

use crate::addr::Pfn;
use crate::multicall::{
    is_queue_empty,
    Batch,
    Deferred,
    Issue, //
};
use crate::platform::{
    is_preemptible,
    mmuext_ops,
    trace,
    writes_cr3_past_queue,
    xen_cr3,
    CallContext,
    ExtOp,
    IrqsOff,
    Root,
    Table,
    LOADED_CR3, //
};
use crate::ptpage::mfn_of_table;
use kernel::macros::init_text;

/// Returns the root that was asked for last on this CPU.
#[inline(always)]
pub(crate) fn read() -> usize {
    xen_cr3.read()
}

fn load_kernel_root(batch: &mut Batch<'_>, root: Pfn) {
    let address = root.paddr().raw();
    xen_cr3.write(address);
    batch.ext(ExtOp::new_kernel_root(mfn_of_table(root)));
    batch.after(Deferred::RootLoaded(address));
}

/// Loads `root` and the user root that goes with it.
///
/// That is done at once if nothing is queued, although the midst of a context switch may put it
/// off: most often nothing else is queued up to its end, so that a queue only costs. What is
/// queued already comes before, as it may be about the roots.
///
/// Context: preemption is off.
pub(crate) fn write(root: Root, caller: CallContext<'_>) {
    if is_preemptible() {
        kernel::pr_warn!("root table loaded with preemption on\n");
    }
    let (kernel, user) = (root.table().pfn(), root.user_root().map(Table::pfn));
    trace::write_cr3(true, Some(kernel.paddr()));
    trace::write_cr3(false, user.map(Pfn::paddr));

    let load_user = ExtOp::new_user_root(user.map(mfn_of_table));
    if writes_cr3_past_queue() && is_queue_empty() && load_now(kernel, load_user) {
        return;
    }
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, kernel);
    batch.ext(load_user);
}

/// Loads both roots past the queue; whether Xen has done both.
fn load_now(kernel: Pfn, load_user: ExtOp) -> bool {
    let address = kernel.paddr().raw();
    let load_kernel = ExtOp::new_kernel_root(mfn_of_table(kernel));
    let _irqs = IrqsOff::new();

    xen_cr3.write(address);
    // If Xen refuses, the queue says what.
    let loaded = mmuext_ops([load_kernel, load_user]).is_ok();
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
    trace::write_cr3(true, Some(root.paddr()));
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, root);
}
