// SPDX-License-Identifier: GPL-2.0-only

//! Raw access to the kernel's p2m list and Xen's m2p table.

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
use core::cell::UnsafeCell;
use kernel::bindings;

/// A word that is set a few times during boot and read often.
///
/// Context: any, for all methods.
#[repr(transparent)]
pub(crate) struct ReadMostly(UnsafeCell<usize>);

// SAFETY: All accesses are volatile loads and stores of a single aligned word.
unsafe impl Sync for ReadMostly {}

impl ReadMostly {
    /// Returns a variable with this initial value.
    pub(crate) const fn new(value: usize) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Returns the value.
    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        // SAFETY: The pointer is to a live, aligned word, and all of its values are valid.
        unsafe { self.0.get().read_volatile() }
    }

    /// Sets the value; readers see the old or the new one.
    pub(crate) fn set(&self, value: usize) {
        // SAFETY: As in `get()`.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// A [`ReadMostly`] that only this module sets.
///
/// Context: any, for all methods.
#[repr(transparent)]
pub(crate) struct ListBound(ReadMostly);

impl ListBound {
    /// Returns the value.
    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }
}

/// Address of the linear p2m list: `unsigned long *` for C.
///
/// The address and the size below always describe address space that is reserved for the list. An
/// access within may fault, but it never reaches other data.
#[no_mangle]
#[link_section = ".data..read_mostly"]
pub(crate) static xen_p2m_addr: ListBound = ListBound(ReadMostly::new(0));

/// Number of words of the list that may be read.
#[no_mangle]
#[link_section = ".data..read_mostly"]
pub(crate) static xen_p2m_size: ListBound = ListBound(ReadMostly::new(0));

/// Largest number of frames that the list can describe; those beyond are identity frames.
#[no_mangle]
#[link_section = ".data..read_mostly"]
pub(crate) static xen_max_p2m_pfn: ReadMostly = ReadMostly::new(0);

/// Uses the list that Xen made, whose pages have a word for `frames` frames.
///
/// Context: start of day, before any entry is converted.
pub(crate) fn use_initial_list(_: Early, frames: usize) {
    xen_p2m_addr.0.set(StartInfo::mfn_list().raw());
    xen_p2m_size.0.set(frames);
}

/// Copies the first `words` words of the list to [`RELOCATED_LIST`], and uses the copy.
///
/// Returns `false` if there is no writable memory for all of them, in which case the list in use
/// stays.
///
/// Context: start of day, when the new place is mapped.
pub(crate) fn use_relocated_list(_: Early, words: usize) -> bool {
    let list = RELOCATED_LIST.raw() as *mut usize;

    for pfn in (0..words).map(Pfn::new) {
        let Some(word) = p2m_load(pfn) else {
            return false;
        };
        // SAFETY: Nothing else is mapped in this part of the address space, and the write may
        // fault.
        if unsafe { bindings::xen_safe_write_ulong(list.add(pfn.raw()), word.raw()) } != 0 {
            return false;
        }
    }
    xen_p2m_addr.0.set(RELOCATED_LIST.raw());
    true
}

/// Uses the list in the vmalloc area, which is mapped throughout.
///
/// Context: start of day, when the new list is complete.
pub(crate) fn use_final_list(_: Early, area: P2mArea) {
    xen_p2m_addr.0.set(area.start().raw());
    xen_p2m_size.0.set(area.bytes() / size_of::<usize>());
}

/// Returns the address of the word of `pfn`, even if that is beyond the list.
///
/// Context: any.
pub(crate) fn p2m_word_address(pfn: Pfn) -> Vaddr {
    Vaddr::new(xen_p2m_addr.get()).add(pfn.raw().wrapping_mul(size_of::<usize>()))
}

/// Reads the word of `pfn`, unless that is beyond the list.
///
/// Context: any.
#[inline(always)]
pub(crate) fn p2m_load(pfn: Pfn) -> Option<P2mWord> {
    if pfn.raw() >= xen_p2m_size.get() {
        return None;
    }
    let list = xen_p2m_addr.get() as *const usize;
    // SAFETY: The list has `xen_p2m_size` words, all of which are mapped, and `pfn` is below that.
    // Volatile because other CPUs may store a new word.
    Some(P2mWord::from_raw(unsafe {
        list.add(pfn.raw()).read_volatile()
    }))
}

/// Stores the word of `pfn`.
///
/// Returns `false`, and changes nothing, if the word is in a shared page, which is read-only, or
/// beyond the list.
///
/// Context: any.
#[inline(always)]
pub(crate) fn p2m_try_store(pfn: Pfn, word: P2mWord) -> bool {
    if pfn.raw() >= xen_p2m_size.get() {
        return false;
    }
    let list = xen_p2m_addr.get() as *mut usize;
    // SAFETY: The word is within the list, as checked above. The write is a single store, which may
    // fault.
    unsafe { bindings::xen_safe_write_ulong(list.add(pfn.raw()), word.raw()) == 0 }
}

/// Looks up `mfn` in Xen's m2p table.
///
/// Returns the value in the table, even if the frame belongs to another domain or is not RAM.
/// Returns `None` if the table has no entry for it; parts of the table are not mapped.
///
/// Context: any.
#[inline(always)]
pub(crate) fn m2p_load(mfn: Mfn) -> Option<Pfn> {
    // SAFETY: `set_m2p()` sets the two variables before the first entry is converted, and nothing
    // changes them later.
    let (table, entries) = unsafe {
        (
            (&raw const bindings::machine_to_phys_mapping).read_volatile(),
            (&raw const bindings::machine_to_phys_nr).read_volatile(),
        )
    };
    if mfn.raw() >= entries {
        return None;
    }
    let mut pfn = 0;
    // SAFETY: The word is within the table, as checked above, and the read may fault.
    let ret = unsafe { bindings::xen_safe_read_ulong(table.add(mfn.raw()), &mut pfn) };
    (ret == 0).then_some(Pfn::new(pfn))
}

/// Sets where Xen's m2p table is and how many entries it has.
///
/// Context: start of day, before any entry is converted.
pub(crate) fn set_m2p(_: Early, table: Option<Vaddr>, entries: usize) {
    // SAFETY: Nobody else runs, as `Early` shows.
    unsafe {
        if let Some(table) = table {
            (&raw mut bindings::machine_to_phys_mapping).write(table.raw() as *mut usize);
        }
        (&raw mut bindings::machine_to_phys_nr).write(entries);
    }
}
