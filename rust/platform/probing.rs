// SPDX-License-Identifier: GPL-2.0

//! What probes of Xen need beyond what the backend does.

use crate::addr::{
    Mfn,
    Paddr, //
};
use crate::level::{
    Index,
    ENTRIES,
    PAGE_SHIFT, //
};
use crate::platform::{
    kernel_root,
    pfn_to_virt,
    phys_to_virt,
    xen_cr3,
    OwnedPage,
    Root,
    Table, //
};
use kernel::bindings;

/// A slot of root tables in which Xen has a table of its own.
const SLOT_OF_XEN: Index = Index::wrapping(260);

impl OwnedPage {
    fn word(&self, index: usize) -> *mut usize {
        assert!(index < ENTRIES);
        (pfn_to_virt(self.pfn()).raw() as *mut usize).wrapping_add(index)
    }

    /// Loads a word of the page, which may be mapped or not; `None` if that faults.
    pub(crate) fn try_load(&self, index: usize) -> Option<usize> {
        let mut word = 0;
        // SAFETY: The word is within a page of ours, and the load may fault.
        let ret = unsafe { bindings::xen_safe_read_ulong(self.word(index), &mut word) };
        (ret == 0).then_some(word)
    }

    /// Stores a word in the page, which may be writable or not; returns whether it did not fault.
    pub(crate) fn try_store(&mut self, index: usize, word: usize) -> bool {
        // SAFETY: The word is within a page of ours, and the store may fault.
        unsafe { bindings::xen_safe_write_ulong(self.word(index), word) == 0 }
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
    kernel_root().entry(SLOT_OF_XEN).read().mfn()
}

/// Returns the root that was asked for last on this CPU.
///
/// Context: preemption is off.
pub(crate) fn loaded_root() -> Root {
    let root = phys_to_virt(Paddr::new(xen_cr3.read())).raw() as *mut usize;
    // SAFETY: The root is loaded, so that it exists as long as preemption is off.
    unsafe { Root::from_table(Table::from_raw(root)) }
}
