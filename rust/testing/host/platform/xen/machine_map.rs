// SPDX-License-Identifier: GPL-2.0-only

//! Raw access to the two maps between pseudo-physical and machine frames: the kernel's p2m list
//! and Xen's m2p table.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::p2m_word::P2mWord;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::StartInfo;
use crate::platform::kernel::kernel_data::P2mArea;
use crate::platform::kernel::layout::RELOCATED_LIST;
use crate::platform::machine::host::{
    current,
    host, //
};
use crate::platform::machine::memory::{
    load,
    try_store, //
};
use crate::platform::machine::statics::PerMachine;

/// Address of the linear p2m list.
pub(crate) static P2M_ADDR: ReadMostly = ReadMostly::new(0);

/// Number of words in the list that may be read.
pub(crate) static P2M_SIZE: ReadMostly = ReadMostly::new(0);

/// Number of frames that the list can describe at most; those beyond are identity frames.
pub(crate) static MAX_P2M_PFN: ReadMostly = ReadMostly::new(0);

pub(crate) use MAX_P2M_PFN as xen_max_p2m_pfn;
pub(crate) use P2M_ADDR as xen_p2m_addr;
pub(crate) use P2M_SIZE as xen_p2m_size;

static M2P_ENTRIES: ReadMostly = ReadMostly::new(0);

/// Uses the list that Xen built, whose pages have words for `frames` frames.
pub(crate) fn use_initial_list(_: Early, frames: usize) {
    P2M_ADDR.set(StartInfo::mfn_list().raw());
    P2M_SIZE.set(frames);
}

/// Copies the first `words` words of the list to [`RELOCATED_LIST`], and uses that from now on.
pub(crate) fn use_relocated_list(_: Early, words: usize) -> bool {
    let is_copied = (0..words).all(|pfn| match p2m_load(Pfn::new(pfn)) {
        Some(word) => try_store(RELOCATED_LIST.add(pfn * 8), word.raw()),
        None => false,
    });
    if is_copied {
        P2M_ADDR.set(RELOCATED_LIST.raw());
    }
    is_copied
}

/// Uses the list in the vmalloc area, which is completely mapped.
pub(crate) fn use_final_list(_: Early, area: P2mArea) {
    P2M_ADDR.set(area.start().raw());
    P2M_SIZE.set(area.bytes() / size_of::<usize>());
}

/// Returns the address of the word for `pfn`, whether or not the list reaches that far.
pub(crate) fn p2m_word_address(pfn: Pfn) -> Vaddr {
    Vaddr::new(P2M_ADDR.get()).add(pfn.raw().wrapping_mul(size_of::<usize>()))
}

/// Reads the word for `pfn` if the list reaches that far.
#[track_caller]
pub(crate) fn p2m_load(pfn: Pfn) -> Option<P2mWord> {
    if pfn.raw() >= P2M_SIZE.get() {
        return None;
    }
    Some(P2mWord::from_raw(load(p2m_word_address(pfn))))
}

/// Stores the word for `pfn` if its part of the list is writable.
pub(crate) fn p2m_try_store(pfn: Pfn, word: P2mWord) -> bool {
    host().step();
    pfn.raw() < P2M_SIZE.get() && try_store(p2m_word_address(pfn), word.raw())
}

/// Looks up `mfn` in Xen's m2p table.
pub(crate) fn m2p_load(mfn: Mfn) -> Option<Pfn> {
    if mfn.raw() >= M2P_ENTRIES.get() {
        return None;
    }
    let word = host()
        .machine
        .borrow()
        .m2p(xen_model::Mfn(mfn.raw() as u64));
    word.map(|pfn| Pfn::new(pfn as usize))
}

/// Sets where Xen's m2p table is and how many entries it has.
pub(crate) fn set_m2p(_: Early, table: Option<Vaddr>, entries: usize) {
    assert!(table.is_none_or(|table| table.raw() == 0xffff_8000_0000_0000));
    M2P_ENTRIES.set(entries);
}

/// A word that is set a few times during boot and read often.
pub(crate) struct ReadMostly(PerMachine<usize>);

impl ReadMostly {
    /// Returns a variable with this initial value.
    pub(crate) const fn new(value: usize) -> Self {
        // INVARIANT: A number owns nothing.
        Self(PerMachine(value))
    }

    /// Returns the value, or the initial one if the test has no machine.
    pub(crate) fn get(&'static self) -> usize {
        if current().is_none() {
            return self.0 .0;
        }
        // SAFETY: The copy belongs to this thread, which has no reference to it.
        unsafe { self.0.get().read() }
    }

    /// Sets the value.
    pub(crate) fn set(&'static self, value: usize) {
        // SAFETY: As in `get()`.
        unsafe { self.0.get().write(value) }
    }
}
