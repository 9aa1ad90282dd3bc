// SPDX-License-Identifier: GPL-2.0-only

//! Functions that only the probes of Xen need.

use crate::addr::{
    Mfn,
    Paddr, //
};
use crate::level::{
    Index,
    ENTRIES,
    PAGE_SHIFT, //
};
use crate::platform::cpu::percpu::xen_cr3;
use crate::platform::kernel::address;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::paging::root::Root;
use crate::platform::paging::static_tables;
use crate::platform::paging::table::Table;
use kernel::bindings;

/// An entry of root tables in which Xen has a table of its own.
const SLOT_OF_XEN: Index = Index::wrapping(260);

impl OwnedPage {
    fn word(&self, index: usize) -> *mut usize {
        assert!(index < ENTRIES);
        (address::pfn_to_virt(self.pfn()).raw() as *mut usize).wrapping_add(index)
    }

    /// Loads a word of the page; returns `None` if that faults because the page is not mapped.
    ///
    /// Context: any; the fault is fixed up.
    pub(crate) fn try_load(&self, index: usize) -> Option<usize> {
        let mut word = 0;
        // SAFETY: `word()` has checked that the word is within the page, which nobody else uses, by
        // its type invariant. The load may fault.
        let ret = unsafe { bindings::xen_safe_read_ulong(self.word(index), &mut word) };
        (ret == 0).then_some(word)
    }

    /// Stores a word in the page; returns `false` if that faults because the page is not writable.
    ///
    /// Context: as [`Self::try_load`].
    pub(crate) fn try_store(&mut self, index: usize, word: usize) -> bool {
        // SAFETY: As in `try_load()`.
        unsafe { bindings::xen_safe_write_ulong(self.word(index), word) == 0 }
    }
}

/// Returns the machine frame of `shared_info`.
///
/// Context: any.
pub(crate) fn shared_info_frame() -> Mfn {
    // SAFETY: `xen_start_info` is set before the first function of this crate is called, and the
    // page stays mapped.
    let address = unsafe { (*bindings::xen_start_info).shared_info };
    Mfn::new(address >> PAGE_SHIFT)
}

/// Returns a machine frame that belongs to Xen.
///
/// Context: any.
pub(crate) fn frame_of_xen() -> Mfn {
    static_tables::root().entry(SLOT_OF_XEN).read().mfn()
}

/// Returns the root that was requested last on this CPU.
///
/// Context: preemption is off.
pub(crate) fn loaded_root() -> Root {
    let root = address::phys_to_virt(Paddr::new(xen_cr3.read())).raw() as *mut usize;
    // SAFETY: The root is loaded on this CPU. It exists while preemption is off, which it is, by
    // the contract of this function.
    unsafe { Root::from_table(Table::from_raw(root)) }
}
