// SPDX-License-Identifier: GPL-2.0-only

//! Compares page tables and TLBs with the reference.

use super::Trace;
use crate::addr;
use crate::addr::Pfn;
use crate::guest::{
    Access,
    Process, //
};
use crate::p2m;
use crate::platform::kernel::address;
use crate::platform::machine::host::host;
use crate::platform::paging::table::Table;
use crate::properties::reference::Contents;
use std::collections::{
    BTreeMap,
    BTreeSet, //
};
use xen_model::{
    entry,
    Entry,
    Level,
    Machine,
    Mfn,
    ENTRIES, //
};

/// End of the part of an address space that belongs to the process.
const USER_SLOTS: usize = ENTRIES / 2;

/// The bits that the CPU sets in entries.
const NOTED: u64 = entry::ACCESSED | entry::DIRTY;

/// An entry of level 1 that is not empty.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    entry: Entry,
    /// Whether all levels allow writes.
    is_writable: bool,
}

impl Leaf {
    /// Returns the frame in the entry, present or not.
    fn mfn(&self) -> Option<Mfn> {
        if self.entry.is_present() {
            return Some(self.entry.mfn());
        }
        let pfn = Pfn::new(((!self.entry.0 & entry::FRAME) >> 12) as usize);
        p2m::mfn_of(pfn).map(model_frame)
    }
}

fn model_frame(mfn: addr::Mfn) -> Mfn {
    Mfn(mfn.raw() as u64)
}

/// Returns the frame of a table.
fn frame_of(table: Table) -> Option<Mfn> {
    p2m::mfn_of(table.pfn()).map(model_frame)
}

/// Collects the leaves below `table`, by page number.
fn collect(
    machine: &Machine,
    (table, level, is_writable): (Mfn, Level, bool),
    start: usize,
    leaves: &mut BTreeMap<usize, Leaf>,
) {
    let nr_own = if level == Level::L4 {
        USER_SLOTS
    } else {
        ENTRIES
    };
    for index in 0..nr_own {
        let entry = Entry(machine.frame_word(table, index));
        if entry.0 & !NOTED == 0 {
            continue;
        }
        let is_writable = is_writable && entry.is_writable();
        let page = start + (index << (level.shift() - 12));
        match level.below() {
            Some(below) => {
                let below = (entry.mfn(), below, is_writable);
                collect(machine, below, page, leaves);
            }
            None => {
                leaves.insert(page, Leaf { entry, is_writable });
            }
        }
    }
}

/// Returns the leaves of a process, which must be the same in both of its roots.
fn leaves_of(process: &Process) -> BTreeMap<usize, Leaf> {
    let root = process.mm().root();
    let user_root = root.user_root().and_then(frame_of);
    let (Some(root), Some(user_root)) = (frame_of(root.table()), user_root) else {
        panic!("a root has no frame");
    };
    let host = host();
    let machine = host.machine.borrow();
    for index in 0..USER_SLOTS {
        let [of_kernel, of_user] =
            [root, user_root].map(|root| machine.frame_word(root, index) & !NOTED);
        assert_eq!(of_user, of_kernel, "entry {index} of the two roots");
    }
    let mut leaves = BTreeMap::new();
    collect(&machine, (root, Level::L4, true), 0, &mut leaves);
    leaves
}

impl Trace {
    /// Checks a process, and the TLBs.
    pub(super) fn check_process(&self, who: usize) {
        let live = &self.live[who];
        let leaves = leaves_of(&live.process);
        for (&page, leaf) in &leaves {
            let Some(cell) = live.space.at(page) else {
                panic!("page {page:#x} is {leaf:x?}, but not mapped");
            };
            let is_allowed = match cell.access {
                Access::None => !leaf.entry.is_present(),
                Access::Read => leaf.entry.is_present() && !leaf.is_writable,
                Access::Write => leaf.entry.is_present(),
            };
            assert!(is_allowed, "page {page:#x}, {cell:?}, is {leaf:x?}");
            let expected = match cell.contents {
                Contents::Anonymous(word) => word.unwrap_or(0),
                Contents::File(number) => self.file.read(number),
            };
            let mfn = leaf.mfn();
            let word = mfn.map(|mfn| host().machine.borrow().frame_word(mfn, 0));
            assert_eq!(word, Some(expected), "page {page:#x}, {cell:?}, {leaf:x?}");
        }
        for (page, cell) in live.space.cells() {
            let is_touched = matches!(cell.contents, Contents::Anonymous(Some(_)));
            let is_there = leaves.contains_key(&page);
            assert!(is_there || !is_touched, "page {page:#x} is lost: {cell:?}");
        }
        let host = host();
        let machine = host.machine.borrow();
        for cpu in 0..self.guest.nr_cpus() {
            let stale = machine.stale(host.domain.vcpu(cpu));
            let of_processes = |(va, _): &&(u64, _)| *va < address::user_end().raw() as u64;
            let stale: Vec<_> = stale.iter().filter(of_processes).collect();
            assert!(stale.is_empty(), "CPU {cpu} still has {stale:x?}");
        }
    }

    /// Checks that the kernel knows which folios were written to, or can find it in an entry.
    pub(super) fn check_dirty(&self) {
        let mut noted = BTreeSet::new();
        for live in &self.live {
            let leaves = leaves_of(&live.process).into_iter();
            for (page, _) in leaves.filter(|(_, leaf)| leaf.entry.has(entry::DIRTY)) {
                let contents = live.space.at(page).map(|cell| cell.contents);
                if let Some(Contents::File(number)) = contents {
                    noted.insert(number);
                }
            }
        }
        let mut pages = self.guest.pages.borrow_mut();
        for number in self.file.written() {
            let is_known = noted.contains(&number) || pages.is_dirty(number);
            assert!(is_known, "the write to page {number} is not known");
        }
        let lost = pages.lost_dirty();
        assert!(lost.is_empty(), "dirty bits are lost: {lost:x?}");
    }

    /// Checks all processes and the machine.
    pub(super) fn check_all(&self) {
        (0..self.live.len()).for_each(|who| self.check_process(who));
        self.check_dirty();
        self.guest.assert_sound();
    }
}
