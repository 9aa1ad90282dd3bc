// SPDX-License-Identifier: GPL-2.0-only

//! Emulation of the guest kernel's stores to tables of level 1.

use crate::entry::{
    Entry,
    Level, //
};
use crate::machine::domain::Assists;
use crate::machine::frame::{
    Owner,
    PageType, //
};
use crate::paging::access::{
    merge,
    Store, //
};
use crate::paging::leaf::PageOwner;
use crate::types::{
    Mfn,
    Vcpu,
    PAGE_SIZE, //
};
use crate::Machine;

impl Machine {
    /// Carries out a store that faulted, if it is one that Xen emulates.
    ///
    /// Returns what the word was, or `None` if the guest gets the fault.
    pub(crate) fn emulate_store(
        &mut self,
        who: Vcpu,
        va: u64,
        size: u64,
        store: Store,
    ) -> Option<u64> {
        let domain = self.domain(who.domain);
        if !domain.is_privileged() && !domain.assists.has(Assists::WRITABLE_PAGETABLES) {
            return None;
        }
        let walk = self.translate(who, va)?;
        let table = walk.mfn;
        if walk.level != Level::L1 || walk.leaf.is_writable() || !self.is_valid(table) {
            return None;
        }
        let frame = self.frame(table);
        let is_live = frame.is_lockable() && frame.kind == PageType::Table(Level::L1);
        if !is_live || frame.owner != Owner::Domain(who.domain) {
            return None;
        }
        self.current = Some(who);
        let index = (va % PAGE_SIZE / 8) as usize;
        let was = self.emulate_on(who, table, index, |was| merge(was, va, size, store), store)?;
        self.stats.emulated_stores += 1;
        Some(was)
    }

    fn emulate_on(
        &mut self,
        who: Vcpu,
        table: Mfn,
        index: usize,
        change: impl Fn(u64) -> u64,
        store: Store,
    ) -> Option<u64> {
        let was = Entry(self.frame_word(table, index));
        let now = Entry(change(was.0));
        if store.is_locked() {
            // The instruction hands the old value to the guest, and is repeated if it went stale.
            self.dirty_ledger.seen(table, index);
            if now == was {
                return Some(was.0);
            }
        }
        let from = PageOwner::Domain(who.domain);
        self.stats.atomics += 4;
        let now = if now.is_present() {
            let leaf = self.get_leaf(now, who.domain, from).ok()?;
            leaf.adjusted(Level::L1)
        } else {
            self.check_l1tf(who.domain, now, Level::L1);
            now
        };
        self.write_entry(table, index, now, false);
        self.put_leaf(was);
        Some(was.0)
    }
}
