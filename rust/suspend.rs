// SPDX-License-Identifier: GPL-2.0-only

//! Suspend and resume: the domain is saved, moves to another host, and goes on in other frames.
//!
//! The toolstack translates the machine frames in the tables that Xen knows. A tree under
//! construction or on its way out is not pinned, so all trees are pinned meanwhile. On resume the
//! p2m list is published anew, with the frames of this host ([`list`]).
//!
//! [`list`]: crate::p2m::list

#![forbid(unsafe_code)]

use crate::pin;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::kernel::mm::{
    self,
    Mm, //
};

/// Pins all trees that are not pinned (`xen_mm_pin_all()`).
///
/// Context: before a suspend, while no other task runs.
pub(crate) fn pin_all(caller: CallContext<'_>) {
    mm::for_each_root(caller, |root| {
        if let Some(page) = root.page().filter(|page| !page.is_pinned()) {
            pin::pin_tree(Mm::kernel(), root, caller);
            page.set_save_pinned(true);
        }
    });
}

/// Unpins the trees that [`pin_all`] pinned (`xen_mm_unpin_all()`).
///
/// Context: after a suspend, while no other task runs.
pub(crate) fn unpin_all(caller: CallContext<'_>) {
    mm::for_each_root(caller, |root| {
        if let Some(page) = root.page().filter(|page| page.is_save_pinned()) {
            pin::unpin_tree(Mm::kernel(), root, caller);
            page.set_save_pinned(false);
        }
    });
}
