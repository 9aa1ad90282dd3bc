// SPDX-License-Identifier: GPL-2.0

//! Loads root page tables.
//!
//! There are two values for each CPU. `xen_cr3` is the root that was asked for last; its own CPU
//! may rely on it. [`LOADED_CR3`] is the root that Xen is known to use, which lags behind while
//! the hypercall is queued; that is the one to ask for another CPU.

use crate::addr::Paddr;
use crate::alloc::mfn_of_table;
use crate::multicall::{
    Batch,
    Deferred,
    Issue, //
};
use crate::platform::{
    direct,
    is_preemptible,
    phys,
    trace,
    xen_cr3,
    Caller,
    ExtOp,
    TablePage, //
};

/// Returns the root that was asked for last on this CPU.
#[inline(always)]
pub(crate) fn read() -> usize {
    xen_cr3.read()
}

fn load_kernel_root(batch: &mut Batch, root: Paddr) {
    trace::write_cr3(true, Some(root));
    // Interrupts are off: an interrupt sees both words agree with what is queued.
    xen_cr3.write(root.raw());
    batch.ext(ExtOp::new_kernel_root(mfn_of_table(root.pfn())));
    batch.after(Deferred::RootLoaded(root.raw()));
}

fn load_user_root(batch: &mut Batch, root: Option<Paddr>) {
    trace::write_cr3(false, root);
    let mfn = root.map(|root| mfn_of_table(root.pfn()));
    batch.ext(ExtOp::new_user_root(mfn));
}

/// Loads the root table at `root` and the user root that goes with it.
///
/// In the midst of a context switch the hypercall waits for its end.
///
/// Context: preemption is off.
pub(crate) fn write(root: Paddr, caller: Caller) {
    if is_preemptible() {
        kernel::pr_warn!("root table loaded with preemption on\n");
    }
    let user_root = TablePage::at(direct(root)).and_then(TablePage::user_root);
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, root);
    load_user_root(&mut batch, user_root.map(phys));
}

/// Loads the root table at `root` while there is no user mode yet.
///
/// Context: start of day.
#[link_section = ".init.text"]
pub(crate) fn write_early(root: Paddr, caller: Caller) {
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, root);
}
