// SPDX-License-Identifier: GPL-2.0

//! Raw access to the two maps between pseudo-physical and machine frames: the kernel's p2m list
//! and Xen's m2p table.

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::level::Level;
use crate::p2m_word::P2mWord;
use crate::platform::{
    P2mArea,
    StartInfo, //
};
use core::cell::UnsafeCell;
use kernel::bindings;

/// A word that is set a few times during boot and read all the time.
#[repr(transparent)]
pub(crate) struct ReadMostly(UnsafeCell<usize>);

// SAFETY: Loads and stores are of single aligned words and volatile.
unsafe impl Sync for ReadMostly {}

impl ReadMostly {
    /// Returns a variable with this initial value.
    pub(crate) const fn new(value: usize) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Returns the value.
    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        // SAFETY: The word is always valid.
        unsafe { self.0.get().read_volatile() }
    }

    /// Sets the value; readers see the old or the new one.
    pub(crate) fn set(&self, value: usize) {
        // SAFETY: The word is always valid.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// A [`ReadMostly`] that only this module sets.
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
/// It and the size below only ever name memory that is kept for the list, so that a wrong word may
/// fault but is nobody else's.
#[no_mangle]
#[link_section = ".data..read_mostly"]
pub(crate) static xen_p2m_addr: ListBound = ListBound(ReadMostly::new(0));

/// Number of words in the list that may be read.
#[no_mangle]
#[link_section = ".data..read_mostly"]
pub(crate) static xen_p2m_size: ListBound = ListBound(ReadMostly::new(0));

/// Number of frames that the list can ever describe; those beyond are identity frames.
#[no_mangle]
#[link_section = ".data..read_mostly"]
pub(crate) static xen_max_p2m_pfn: ReadMostly = ReadMostly::new(0);

/// Uses the list that Xen made, whose pages have a word for `frames` frames.
///
/// Context: start of day.
pub(crate) fn use_initial_list(frames: usize) {
    xen_p2m_addr.0.set(StartInfo::mfn_list().raw());
    xen_p2m_size.0.set(frames);
}

/// Where a list is mapped that had to move: Xen puts the first one at root entry 1 or into the
/// kernel map, so that 2 is free in either case.
pub(crate) const RELOCATED_LIST: Vaddr = Vaddr::new(2 << Level::L4.shift());

/// Copies the first `words` words of the list to [`RELOCATED_LIST`], and uses that from now on.
///
/// Returns `false` if there is no writable memory for all of them, in which case the list in use
/// stays.
///
/// Context: start of day.
pub(crate) fn use_relocated_list(words: usize) -> bool {
    let list = RELOCATED_LIST.raw() as *mut usize;

    for pfn in (0..words).map(Pfn::new) {
        let Some(word) = p2m_load(pfn) else {
            return false;
        };
        // SAFETY: Nobody else uses this part of the address space; the write may fault.
        if unsafe { bindings::xen_safe_write_ulong(list.add(pfn.raw()), word.raw()) } != 0 {
            return false;
        }
    }
    xen_p2m_addr.0.set(RELOCATED_LIST.raw());
    true
}

/// Uses the list in the vmalloc area, which is mapped throughout.
///
/// Context: start of day.
pub(crate) fn use_final_list(area: P2mArea) {
    xen_p2m_addr.0.set(area.start().raw());
    xen_p2m_size.0.set(area.bytes() / size_of::<usize>());
}

/// Returns the address of the word for `pfn`, whether or not the list reaches that far.
pub(crate) fn p2m_word_address(pfn: Pfn) -> Vaddr {
    Vaddr::new(xen_p2m_addr.get()).add(pfn.raw().wrapping_mul(size_of::<usize>()))
}

/// Reads the word for `pfn` if the list reaches that far.
#[inline(always)]
pub(crate) fn p2m_load(pfn: Pfn) -> Option<P2mWord> {
    if pfn.raw() >= xen_p2m_size.get() {
        return None;
    }
    let list = xen_p2m_addr.get() as *const usize;
    // SAFETY: The list has `xen_p2m_size` words, all of them mapped at least read-only. Volatile
    // because other CPUs may store a new word.
    Some(P2mWord::from_raw(unsafe {
        list.add(pfn.raw()).read_volatile()
    }))
}

/// Stores the word for `pfn` if its part of the list is writable.
///
/// Returns `false`, with nothing changed, if it lies in one of the shared read-only pages or
/// beyond the end.
#[inline(always)]
pub(crate) fn p2m_try_store(pfn: Pfn, word: P2mWord) -> bool {
    if pfn.raw() >= xen_p2m_size.get() {
        return false;
    }
    let list = xen_p2m_addr.get() as *mut usize;
    // SAFETY: The word is part of the list; the write is a single store that may fault.
    unsafe { bindings::xen_safe_write_ulong(list.add(pfn.raw()), word.raw()) == 0 }
}

/// Looks up `mfn` in Xen's m2p table.
///
/// Returns whatever the table says: the frame may be another domain's, or not be RAM at all. `None`
/// if the table has no such entry; parts of it are not mapped.
#[inline(always)]
pub(crate) fn m2p_load(mfn: Mfn) -> Option<Pfn> {
    // SAFETY: The two are set before the first page-table entry is converted, and never change.
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
    // SAFETY: The read is within the table and may fault.
    let ret = unsafe { bindings::xen_safe_read_ulong(table.add(mfn.raw()), &mut pfn) };
    (ret == 0).then_some(Pfn::new(pfn))
}

/// Sets where Xen's m2p table is and how many entries it has.
pub(crate) fn set_m2p(table: Option<Vaddr>, entries: usize) {
    // SAFETY: Called once at start of day, before anything is looked up.
    unsafe {
        if let Some(table) = table {
            (&raw mut bindings::machine_to_phys_mapping).write(table.raw() as *mut usize);
        }
        (&raw mut bindings::machine_to_phys_nr).write(entries);
    }
}
