// SPDX-License-Identifier: GPL-2.0-only

//! Promotion of a frame to a page table, and its teardown.

use crate::entry::{
    forbidden,
    Entry,
    Level,
    PRESENT,
    XEN_SLOTS, //
};
use crate::machine::domain::Assists;
use crate::machine::frame::PageType;
use crate::paging::leaf::PageOwner;
use crate::types::{
    DomainId,
    Errno,
    Mfn,
    ENTRIES, //
};
use crate::Machine;

/// Contents of Xen's slots of a root: present, and not a frame of a guest.
const XEN_ENTRY: u64 = PRESENT;

/// The slot through which a guest sees the machine-to-physical table.
const M2P_SLOT: usize = 256;

impl Machine {
    /// Takes the references of all entries of a table (`promote_l*_table()`).
    ///
    /// If one cannot be taken, none are; the type of the table is dropped with its count.
    pub(crate) fn promote(&mut self, table: Mfn, level: Level) -> Result<(), Errno> {
        let Some(domain) = self.owner_of(table) else {
            return Err(self.fail_promotion(table, level, 0, Errno::EINVAL));
        };
        self.stats.promotions += 1;
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
                Err(error) => return Err(self.fail_promotion(table, level, index, error)),
            }
        }
        if level == Level::L4 {
            self.fill_xen_slots(table, domain);
        }
        Ok(())
    }

    /// Undoes a promotion that failed at entry `failed`.
    fn fail_promotion(&mut self, table: Mfn, level: Level, failed: usize, error: Errno) -> Errno {
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
    /// Returns the entry as Xen will store it, before [`Entry::adjusted`].
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
    pub fn shows_m2p(&self, root: Mfn) -> bool {
        self.frame_word(root, M2P_SLOT) & PRESENT != 0
    }
}

#[cfg(test)]
mod tests {
    use crate::entry::*;
    use crate::testing::*;
    use crate::*;

    #[test]
    fn pinning_a_root_promotes_the_tree_and_unpinning_tears_it_down() {
        let mut guest = Guest::domu();
        let frame = guest.page();
        let path = guest.path(&[(7, Entry::new(frame, USER_RW))]);
        let before = guest.stats();
        guest.pin(Level::L4, path.root()).unwrap();
        assert_eq!((guest.stats() - before).promotions, 4);
        for (table, level) in path.tables.into_iter().zip(Level::DOWN) {
            let state = guest.frame(table);
            assert_eq!(state.table(), Some(level));
            assert!(state.is_validated());
            assert_eq!((state.type_count(), state.count()), (1, 2));
        }
        assert_eq!(guest.frame(frame).page_type(), PageType::Writable);

        guest.unpin(path.root()).unwrap();
        assert_eq!((guest.stats() - before).teardowns, 4);
        for (table, level) in path.tables.into_iter().zip(Level::DOWN) {
            let state = guest.frame(table);
            // The type stays, without a reference.
            assert_eq!(state.page_type(), PageType::Table(level));
            assert_eq!((state.type_count(), state.count()), (0, 1));
            assert!(!state.is_validated());
        }
        let leaf = Entry(guest.frame_word(path.leaves(), 7));
        assert_eq!(leaf, Entry::new(frame, USER_RW | GLOBAL));
    }

    #[test]
    fn a_shared_table_is_torn_down_with_its_last_user() {
        let mut guest = Guest::domu();
        let path = guest.path(&[]);
        let l4 = guest.table(&[(9, Entry::new(path.tables[1], TABLE))]);
        guest.pin(Level::L4, path.root()).unwrap();
        guest.pin(Level::L4, l4).unwrap();
        assert_eq!(guest.frame(path.tables[1]).type_count(), 2);
        guest.unpin(path.root()).unwrap();
        assert_eq!(guest.frame(path.leaves()).table(), Some(Level::L1));
        guest.unpin(l4).unwrap();
        assert_eq!(guest.frame(path.leaves()).table(), None);
    }

    #[test]
    fn a_failed_promotion_leaves_no_reference_and_adjusted_flags() {
        let mut guest = Guest::domu();
        let (frame, root) = (guest.page(), guest.start_of_day(guest.domain).root);
        let path = guest.path(&[
            (1, Entry::new(frame, USER_RW)),
            (2, Entry::new(root, USER_RW)),
        ]);
        guest.map(0, path.leaves(), KERNEL_RO).unwrap();
        assert_eq!(guest.pin(Level::L4, path.root()), Err(Errno::EBUSY));
        for table in path.tables {
            let expected = if table == path.leaves() { 2 } else { 1 };
            assert_eq!(guest.frame(table).count(), expected);
            assert_eq!(guest.frame(table).type_count(), 0);
        }
        assert_eq!(
            (guest.frame(frame).count(), guest.frame(frame).type_count()),
            (1, 0)
        );
        let leaf = Entry(guest.frame_word(path.leaves(), 1));
        assert_eq!(leaf, Entry::new(frame, USER_RW | GLOBAL));
    }

    #[test]
    fn moving_a_table_keeps_it_valid() {
        let mut guest = Guest::domu();
        let (who, path) = (guest.who, guest.path(&[]));
        guest.pin(Level::L4, path.root()).unwrap();
        let (from, to) = (path.tables[2].word(0), path.tables[2].word(1));
        let link = guest.entry_at(from).0;
        let before = guest.stats();
        let updates = [MmuUpdate::normal(to, link), MmuUpdate::normal(from, 0)];
        assert_eq!(guest.mmu_update(who, &updates, SELF).result, Ok(()));
        let work = guest.stats() - before;
        assert_eq!((work.promotions, work.teardowns), (0, 0));
    }

    #[test]
    fn an_update_of_a_table_that_nothing_uses_makes_it_ordinary_memory() {
        let mut guest = Guest::domu();
        let table = guest.table(&[]);
        guest.pin(Level::L1, table).unwrap();
        guest.unpin(table).unwrap();
        guest.update(table.word(0), 0x1234).unwrap();
        assert_eq!(guest.frame(table).page_type(), PageType::Writable);
        assert_eq!(guest.frame_word(table, 0), 0x1234);
    }

    #[test]
    fn a_linear_table_is_refused() {
        let mut guest = Guest::domu();
        let root = guest.table(&[]);
        guest.set_frame_word(root, 100, Entry::new(root, USER_RO).0);
        assert_eq!(guest.pin(Level::L4, root), Err(Errno::EINVAL));
    }

    #[test]
    fn pages_are_cleared_and_copied_unless_they_are_tables() {
        let mut guest = Guest::domu();
        let (a, b, table) = (guest.page(), guest.page(), guest.table(&[]));
        guest.set_frame_word(a, 5, 7);
        guest.pin(Level::L1, table).unwrap();
        let copy = |to, from| MmuExtOp::CopyPage { to, from };
        guest.ext(copy(b, a)).unwrap();
        assert_eq!(
            (guest.frame_word(b, 5), guest.frame_word(b, 4)),
            (7, POISON)
        );
        guest.ext(MmuExtOp::ClearPage(b)).unwrap();
        assert_eq!(guest.frame_word(b, 5), 0);
        guest.ext(copy(a, table)).unwrap();
        assert_eq!(guest.frame_word(a, 5), 0);
        for op in [
            MmuExtOp::ClearPage(table),
            copy(table, a),
            copy(a, Mfn(5)),
            copy(Mfn(5), a),
        ] {
            assert_eq!(guest.ext(op), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn operations_on_the_own_domain_name_no_other() {
        let mut guest = Guest::dom0();
        let other = guest.add_domu();
        let (who, root) = (guest.who, guest.start_of_day(other).root);
        let on_other = |guest: &mut Guest, op| guest.mmuext_op(who, &[op], other.0.into()).result;
        for op in [
            MmuExtOp::NewBaseptr(root),
            MmuExtOp::NewUserBaseptr(root),
            MmuExtOp::TlbFlushLocal,
            MmuExtOp::TlbFlushAll,
            MmuExtOp::SetLdt(0, 0),
            MmuExtOp::FlushCache,
        ] {
            assert_eq!(on_other(&mut guest, op), Err(Errno::EPERM));
        }
        let frame = guest.start_of_day(other).frames[500];
        assert_eq!(on_other(&mut guest, MmuExtOp::ClearPage(frame)), Ok(()));
        guest.ext(MmuExtOp::FlushCache).unwrap();
        let domu = other.vcpu(0);
        assert_eq!(
            guest.mmuext_one(domu, MmuExtOp::FlushCache),
            Err(Errno::EACCES)
        );
        let outcome = guest.mmuext_op(domu, &[MmuExtOp::TlbFlushAll], 0);
        assert_eq!(outcome.result, Err(Errno::EPERM));
    }
}
