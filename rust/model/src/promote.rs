// SPDX-License-Identifier: GPL-2.0

//! Audit of a frame that becomes a page table, and what follows when it is one no more.

use crate::domain::Assists;
use crate::entry::{
    forbidden,
    Entry,
    Level,
    PRESENT,
    XEN_SLOTS, //
};
use crate::frame::PageType;
use crate::leaf::PageOwner;
use crate::types::{
    DomainId,
    Errno,
    Mfn,
    ENTRIES, //
};
use crate::Machine;

/// What stands in the slots of a root that are Xen's: present, and of no frame that a guest has.
const XEN_ENTRY: u64 = PRESENT;

/// The slot through which a guest sees the machine-to-physical table.
const M2P_SLOT: usize = 256;

impl Machine {
    /// Takes the references of all entries of a table (`promote_l*_table()`).
    ///
    /// When one cannot be taken, none are; the type of the table is dropped with its count.
    pub(crate) fn audit(&mut self, table: Mfn, level: Level) -> Result<(), Errno> {
        let Some(domain) = self.owner_of(table) else {
            return Err(self.fail_audit(table, level, 0, Errno::EINVAL));
        };
        self.stats.audits += 1;
        for index in 0..ENTRIES {
            if !level.is_guest_slot(index) {
                continue;
            }
            let entry = Entry(self.frame_word(table, index));
            if !entry.is_present() {
                self.check_l1tf(domain, entry, level);
                continue;
            }
            match self.get_entry(entry, level, domain, PageOwner::Domain(domain)) {
                Ok(entry) => {
                    let adjusted = entry.adjusted(level).0;
                    self.frames[table.index()].set_word(index, adjusted);
                }
                Err(error) => return Err(self.fail_audit(table, level, index, error)),
            }
        }
        if level == Level::L4 {
            self.fill_xen_slots(table, domain);
        }
        Ok(())
    }

    /// Undoes an audit that came to entry `failed`.
    fn fail_audit(&mut self, table: Mfn, level: Level, failed: usize, error: Errno) -> Errno {
        if level == Level::L1 {
            for index in 0..failed {
                self.put_leaf(Entry(self.frame_word(table, index)));
            }
        } else {
            self.put_entries(table, level, failed);
        }
        let clock = self.clock;
        let frame = &mut self.frames[table.index()];
        frame.type_count = 0;
        if level == Level::L1 || failed == 0 {
            frame.kind = PageType::None;
        } else {
            frame.stamp = clock;
        }
        error
    }

    /// Takes the references of a present entry of `level`.
    ///
    /// Returns the entry as Xen will have it, but for [`Entry::adjusted`].
    pub(crate) fn get_entry(
        &mut self,
        entry: Entry,
        level: Level,
        domain: DomainId,
        from: PageOwner,
    ) -> Result<Entry, Errno> {
        let Some(below) = level.below() else {
            return self.get_leaf(entry, domain, from);
        };
        if entry.0 & forbidden(level, false, self.config.has_nx) != 0 {
            return Err(Errno::EINVAL);
        }
        self.get_page_and_type(entry.mfn(), domain, PageType::Table(below))?;
        Ok(entry)
    }

    /// Drops the references of all entries of a table (`demote_l*_table()`).
    pub(crate) fn tear_down(&mut self, table: Mfn, level: Level) {
        self.stats.teardowns += 1;
        if level == Level::L1 {
            for index in 0..ENTRIES {
                self.put_leaf(Entry(self.frame_word(table, index)));
            }
        } else {
            self.put_entries(table, level, ENTRIES);
        }
    }

    /// Drops the references of the first `count` entries of a table above level 1.
    fn put_entries(&mut self, table: Mfn, level: Level, count: usize) {
        for index in (0..count).rev() {
            if level.is_guest_slot(index) {
                let entry = Entry(self.frame_word(table, index));
                self.put_entry(entry, level);
            }
        }
    }

    /// Drops the references of an entry that is gone.
    pub(crate) fn put_entry(&mut self, entry: Entry, level: Level) {
        if level == Level::L1 {
            self.put_leaf(entry);
        } else if entry.is_large(level) {
            let first = entry.mfn().0;
            let frames = 1u64 << (level.shift() - 12);
            for frame in first..first + frames {
                self.put_leaf(Entry::new(
                    Mfn(frame),
                    entry.0 & (PRESENT | crate::entry::RW),
                ));
            }
        } else if entry.is_present() {
            self.put_page_and_type(entry.mfn());
        }
    }

    fn fill_xen_slots(&mut self, root: Mfn, domain: DomainId) {
        let is_strict = self.domain(domain).assists.has(Assists::M2P_STRICT);
        for index in XEN_SLOTS {
            let is_filled = index != M2P_SLOT || is_strict;
            let word = if is_filled { XEN_ENTRY } else { 0 };
            self.frames[root.index()].set_word(index, word);
        }
    }

    /// Makes the machine-to-physical table visible through `root`, or hides it.
    pub(crate) fn show_m2p(&mut self, root: Mfn, is_shown: bool) {
        let word = if is_shown { XEN_ENTRY } else { 0 };
        self.frames[root.index()].set_word(M2P_SLOT, word);
    }

    /// Whether the machine-to-physical table is visible through `root`.
    pub(crate) fn shows_m2p(&self, root: Mfn) -> bool {
        self.frame_word(root, M2P_SLOT) & PRESENT != 0
    }
}
