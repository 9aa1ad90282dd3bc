// SPDX-License-Identifier: GPL-2.0-only

//! Accesses to the memory of the domain, through the page tables that it runs on.

use crate::addr::{
    Paddr,
    Vaddr, //
};
use crate::level::{
    ENTRIES,
    PAGE_SIZE, //
};
use crate::p2m_word::P2mWord;
use crate::platform::machine::host::{
    host,
    Host, //
};
use crate::platform::xen::machine_map;
use xen_model::{
    Entry,
    Level,
    Mfn, //
};

/// Loads a word of the kernel's memory.
///
/// # Panics
///
/// If that faults.
#[track_caller]
pub(crate) fn load(at: Vaddr) -> usize {
    match try_load(at) {
        Some(word) => word,
        None => panic!("loading from {at:x?} faults"),
    }
}

/// Loads a word of the kernel's memory; `None` if that faults.
pub(crate) fn try_load(at: Vaddr) -> Option<usize> {
    let host = host();
    let word = host
        .machine
        .borrow_mut()
        .read_u64(host.vcpu(), at.raw() as u64);
    word.ok().map(|word| word as usize)
}

/// Stores a word in the kernel's memory.
///
/// # Panics
///
/// If that faults, or Xen emulates it although the test does not expect that.
#[track_caller]
pub(crate) fn store(at: Vaddr, word: usize) {
    let stored = try_store(at, word);
    assert!(stored, "storing to {at:x?} faults");
}

/// Stores a word in the kernel's memory; returns whether it did not fault.
#[track_caller]
pub(crate) fn try_store(at: Vaddr, word: usize) -> bool {
    let host = host();
    let mut machine = host.machine.borrow_mut();
    let before = machine.stats().emulated_stores;
    let result = machine.write_u64(host.vcpu(), at.raw() as u64, word as u64);
    let emulated = machine.stats().emulated_stores - before;

    assert!(
        emulated == 0 || host.emulation_is_meant.get(),
        "storing to the table at {at:x?} is emulated"
    );
    result.is_ok()
}

/// Sets all words of a page.
#[track_caller]
pub(crate) fn store_page(page: Vaddr, word: impl Fn(usize) -> usize) {
    for index in 0..ENTRIES {
        store(page.add(index * size_of::<usize>()), word(index));
    }
}

/// Reads a word at a pseudo-physical address, whether it is mapped or not.
///
/// # Panics
///
/// If there is no memory.
#[track_caller]
pub(crate) fn read_phys(paddr: Paddr) -> usize {
    let mfn = machine_map::p2m_load(paddr.pfn()).and_then(P2mWord::mfn);
    let Some(mfn) = mfn else {
        panic!("there is no memory at {paddr:x?}");
    };
    let host = host();
    let machine = host.machine.borrow();
    machine.frame_word(Mfn(mfn.raw() as u64), paddr.offset() / 8) as usize
}

impl Host {
    /// Lets `section` store to tables where Xen emulates stores.
    pub(crate) fn with_emulation<R>(&self, section: impl FnOnce() -> R) -> R {
        let before = self.emulation_is_meant.replace(true);
        let ret = section();
        self.emulation_is_meant.set(before);
        ret
    }

    /// Copies a page of the domain, whether it is mapped or not.
    pub(crate) fn copy_page(&self, from: Paddr, to: Paddr) {
        for offset in (0..PAGE_SIZE).step_by(size_of::<usize>()) {
            let word = read_phys(Paddr::new(from.raw() + offset));
            let mfn = machine_map::p2m_load(to.pfn()).and_then(P2mWord::mfn);
            let mfn = mfn.map_or(Mfn(u64::MAX), |mfn| Mfn(mfn.raw() as u64));
            let mut machine = self.machine.borrow_mut();
            machine.set_frame_word(mfn, offset / size_of::<usize>(), word as u64);
        }
    }

    /// Returns the table of `level` with the entry for `at` in the tables of the running CPU.
    pub(crate) fn table_for(&self, at: Vaddr, level: Level) -> Option<Mfn> {
        let machine = self.machine.borrow();
        machine.table_for(self.vcpu(), at.raw() as u64, level)
    }

    /// Returns the entry of `level` for `at` in the tables of the running CPU, without setting
    /// accessed bits.
    pub(crate) fn entry_for(&self, at: Vaddr, level: Level) -> Option<Entry> {
        let table = self.table_for(at, level)?;
        let index = level.index(at.raw() as u64);
        Some(Entry(self.machine.borrow().frame_word(table, index)))
    }
}
