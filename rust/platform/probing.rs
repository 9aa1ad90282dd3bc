// SPDX-License-Identifier: GPL-2.0

//! What probes of Xen need beyond what the backend does.

use crate::addr::PAGE_SHIFT;
use crate::frame::Mfn;
use crate::platform::{
    kernel_root,
    OwnedPage,
    Slot, //
};
use kernel::bindings;

/// A slot of root tables in which Xen has a table of its own.
const SLOT_OF_XEN: usize = 260;

impl OwnedPage {
    /// Loads a word of the page, which may be mapped or not; `None` if that faults.
    pub(crate) fn try_load(&self, index: usize) -> Option<usize> {
        let mut word = 0;
        // SAFETY: The word is within a page of ours, and the load may fault.
        let ret = unsafe { bindings::xen_safe_read_ulong(self.slot(index).as_ptr(), &mut word) };
        (ret == 0).then_some(word)
    }

    /// Stores a word in the page, which may be writable or not; returns whether it did not fault.
    pub(crate) fn try_store(&mut self, index: usize, word: usize) -> bool {
        // SAFETY: The word is within a page of ours, and the store may fault.
        unsafe { bindings::xen_safe_write_ulong(self.slot(index).as_ptr(), word) == 0 }
    }
}

/// Returns the frame that Xen shares with the domain.
pub(crate) fn shared_info_frame() -> Mfn {
    // SAFETY: The page of `start_info` is mapped from the first instruction on.
    let address = unsafe { (*bindings::xen_start_info).shared_info };
    Mfn::new(address >> PAGE_SHIFT)
}

/// Returns a frame of Xen's own.
pub(crate) fn frame_of_xen() -> Mfn {
    // SAFETY: The kernel's root is never unmapped.
    unsafe { Slot::in_table(kernel_root(), SLOT_OF_XEN) }
        .read()
        .mfn()
}
