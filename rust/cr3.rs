// SPDX-License-Identifier: GPL-2.0

//! Loads root page tables.
//!
//! There are two values for each CPU. `xen_cr3` is the root that was asked for last; its own CPU
//! may rely on it. `LOADED_CR3` is the root that Xen is known to use, which lags behind while
//! the hypercall is queued; that is the one to ask for another CPU.

#![forbid(unsafe_code)]

use crate::alloc::mfn_of_table;
use crate::frame::Pfn;
use crate::multicall::{
    Batch,
    Deferred,
    Issue, //
};
use crate::platform::{
    is_preemptible,
    trace,
    xen_cr3,
    Caller,
    ExtOp,
    Root,
    Table, //
};
use kernel::macros::init_text;

/// Returns the root that was asked for last on this CPU.
#[inline(always)]
pub(crate) fn read() -> usize {
    xen_cr3.read()
}

fn load_kernel_root(batch: &mut Batch<'_>, root: Pfn) {
    let address = root.paddr();
    trace::write_cr3(true, Some(address));
    // Interrupts are off: an interrupt sees both words agree with what is queued.
    xen_cr3.write(address.raw());
    batch.ext(ExtOp::new_kernel_root(mfn_of_table(root)));
    batch.after(Deferred::RootLoaded(address.raw()));
}

fn load_user_root(batch: &mut Batch<'_>, root: Option<Pfn>) {
    trace::write_cr3(false, root.map(Pfn::paddr));
    batch.ext(ExtOp::new_user_root(root.map(mfn_of_table)));
}

/// Loads `root` and the user root that goes with it.
///
/// In the midst of a context switch the hypercall waits for its end.
///
/// Context: preemption is off.
pub(crate) fn write(root: Root, caller: Caller<'_>) {
    if is_preemptible() {
        kernel::pr_warn!("root table loaded with preemption on\n");
    }
    let user_root = root.user_root().map(Table::pfn);
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, root.table().pfn());
    load_user_root(&mut batch, user_root);
}

/// Loads the root table in frame `root` while there is no user mode yet.
///
/// Context: start of day.
#[init_text]
pub(crate) fn write_early(root: Pfn, caller: Caller<'_>) {
    let mut batch = Batch::open(Issue::LazyCpu, caller);
    load_kernel_root(&mut batch, root);
}
