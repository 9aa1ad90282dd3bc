// SPDX-License-Identifier: GPL-2.0-only

//! Changes of an entry of a table that is in use.

use crate::entry::{
    forbidden,
    Entry,
    Level,
    ACCESSED,
    DIRTY, //
};
use crate::paging::leaf::PageOwner;
use crate::types::{
    DomainId,
    Errno,
    Mfn, //
};
use crate::Machine;

/// The place of an entry, with what Xen knows of its table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) table: Mfn,
    pub(crate) index: usize,
    pub(crate) level: Level,
    /// The owner of the table.
    pub(crate) domain: DomainId,
}

/// A table whose reference is dropped in a later entry into Xen (`old_guest_table`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the reference has to be dropped"]
pub(crate) struct OldTable(pub(crate) Mfn);

impl Machine {
    /// Changes an entry (`mod_l1_entry()` to `mod_l4_entry()`).
    pub(crate) fn change_entry(
        &mut self,
        place: Place,
        new: Entry,
        preserve_ad: bool,
        from: PageOwner,
    ) -> Result<Option<OldTable>, Errno> {
        let Place {
            table,
            index,
            level,
            domain,
        } = place;
        if !level.is_guest_slot(index) {
            return Err(Errno::EINVAL);
        }
        let old = Entry(self.frame_word(table, index));
        if !new.is_present() {
            self.check_l1tf(domain, new, level);
            self.write_entry(table, index, new, preserve_ad);
            return Ok(self.release(old, level));
        }
        let has_io_rights = self.domain(domain).has_io_rights();
        if new.0 & forbidden(level, has_io_rights, self.config.has_nx) != 0 {
            return Err(Errno::EINVAL);
        }
        let new = new.adjusted(level);
        if new.is_cheap_change(old) {
            self.write_entry(table, index, new, preserve_ad);
            return Ok(None);
        }
        let new = self.get_entry(new, level, domain, from)?;
        self.write_entry(table, index, new, preserve_ad);
        Ok(self.release(old, level))
    }

    /// Drops the references of an entry that was replaced; those of a table come later.
    fn release(&mut self, old: Entry, level: Level) -> Option<OldTable> {
        let is_table = level != Level::L1 && old.is_present() && !old.is_large(level);
        if is_table {
            return Some(OldTable(old.mfn()));
        }
        self.put_entry(old, level);
        None
    }

    /// Drops a reference that [`Self::change_entry`] left.
    pub(crate) fn release_table(&mut self, old: OldTable) {
        self.put_page_and_type(old.0);
    }

    /// Stores an entry (`update_intpte()`).
    pub(crate) fn write_entry(&mut self, table: Mfn, index: usize, new: Entry, preserve_ad: bool) {
        let was = self.frame_word(table, index);
        let mut now = new.0;
        if preserve_ad {
            now |= was & (ACCESSED | DIRTY);
            self.stats.atomics += 1;
        }
        self.dirty_ledger.overwritten(table, index, was, now);
        self.frames[table.index()].set_word(index, now);
    }
}
