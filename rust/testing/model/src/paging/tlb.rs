// SPDX-License-Identifier: GPL-2.0-only

//! TLBs of the CPUs: what they hold, and what flushes them.

use crate::machine::frame::PageType;
use crate::types::{
    DomainId,
    Mfn,
    Vcpu,
    PAGE_SIZE, //
};
use crate::Machine;
use std::collections::HashMap;

/// A translation of one page that a CPU holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// The frame.
    pub mfn: Mfn,
    /// Whether writes are allowed.
    pub writable: bool,
    /// Whether the dirty bit of the leaf was set, so that writes need no look at the tables.
    pub dirty: bool,
    /// Whether it survives a change between user and kernel mode.
    pub global: bool,
}

#[derive(Clone, Default, Debug)]
pub(crate) struct Tlb {
    pages: HashMap<u64, Translation>,
}

impl Tlb {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn get(&self, va: u64) -> Option<Translation> {
        self.pages.get(&(va & !(PAGE_SIZE - 1))).copied()
    }

    pub(crate) fn insert(&mut self, va: u64, translation: Translation) {
        self.pages.insert(va & !(PAGE_SIZE - 1), translation);
    }

    pub(crate) fn drop_page(&mut self, va: u64) {
        self.pages.remove(&(va & !(PAGE_SIZE - 1)));
    }

    pub(crate) fn drop_all(&mut self) {
        self.pages.clear();
    }

    pub(crate) fn drop_local(&mut self) {
        self.pages.retain(|_, translation| translation.global);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Translation)> + '_ {
        self.pages
            .iter()
            .map(|(&va, &translation)| (va, translation))
    }
}

/// What a flush drops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flush {
    All,
    Page(u64),
}

impl Machine {
    /// Returns what `vcpu` has cached for `va`.
    pub fn cached(&self, vcpu: Vcpu, va: u64) -> Option<Translation> {
        self.vcpu(vcpu).tlb.get(va)
    }

    /// Returns the vCPUs that hold a translation to `mfn`, and for which address. There must be
    /// none when a guest gives a frame a new use.
    pub fn cached_users(&self, mfn: Mfn) -> Vec<(Vcpu, u64)> {
        let mut users = Vec::new();
        for vcpu in self.all_vcpus() {
            let pages = self.vcpu(vcpu).tlb.iter();
            users.extend(
                pages
                    .filter(|(_, t)| t.mfn == mfn)
                    .map(|(va, _)| (vcpu, va)),
            );
        }
        users
    }

    /// Returns the translations of `vcpu` that its tables no longer hold, or hold with fewer
    /// rights.
    pub fn stale(&self, vcpu: Vcpu) -> Vec<(u64, Translation)> {
        let state = self.vcpu(vcpu);
        let is_current = |va, t: &Translation| {
            [state.root, state.user_root]
                .into_iter()
                .flatten()
                .filter_map(|root| self.translate_from(root, va))
                .any(|now| now.mfn == t.mfn && (now.writable || !t.writable))
        };
        let mut stale: Vec<_> = state
            .tlb
            .iter()
            .filter(|(va, translation)| !is_current(*va, translation))
            .collect();
        stale.sort_unstable_by_key(|(va, _)| *va);
        stale
    }

    /// Flushes the TLB of one CPU.
    pub(crate) fn flush_cpu(&mut self, vcpu: Vcpu, flush: Flush) {
        match flush {
            Flush::All => {
                self.clock += 1;
                let clock = self.clock;
                let state = self.vcpu_mut(vcpu);
                state.stamp = clock;
                state.tlb.drop_all();
                if self.current == Some(vcpu) {
                    self.stats.local_flushes += 1;
                }
            }
            Flush::Page(va) => {
                self.stats.address_flushes += 1;
                self.vcpu_mut(vcpu).tlb.drop_page(va);
            }
        }
    }

    /// Flushes the TLBs of `vcpus`: that of the caller directly, others with one round of
    /// interrupts.
    pub(crate) fn flush_mask(&mut self, vcpus: &[Vcpu], flush: Flush) {
        for &vcpu in vcpus {
            self.flush_cpu(vcpu, flush);
        }
        if vcpus.iter().any(|&vcpu| self.current != Some(vcpu)) {
            self.stats.ipi_rounds += 1;
        }
    }

    /// Returns the vCPUs of `domain` whose CPUs may hold its translations.
    pub(crate) fn dirty_mask(&self, domain: DomainId) -> Vec<Vcpu> {
        let vcpus = self.domain(domain).vcpus.iter().enumerate();
        vcpus
            .filter(|(_, state)| state.is_up)
            .map(|(index, _)| Vcpu {
                domain,
                index: index as u32,
            })
            .collect()
    }

    /// Flushes the CPUs of `domain` that have not been flushed since `stamp`.
    ///
    /// Returns whether there were any.
    pub(crate) fn flush_since(&mut self, domain: DomainId, stamp: u64) -> bool {
        let mut mask = self.dirty_mask(domain);
        mask.retain(|&vcpu| self.vcpu(vcpu).stamp <= stamp);
        self.flush_mask(&mask, Flush::All);
        !mask.is_empty()
    }

    /// Does the flushes and IOMMU changes that `mfn` needs when its type changes from `old` to
    /// `new`.
    pub(crate) fn type_changed(&mut self, mfn: Mfn, old: PageType, new: PageType) {
        let Some(owner) = self.owner_of(mfn) else {
            return;
        };
        let stamp = self.frames[mfn.index()].stamp;
        if self.flush_since(owner, stamp) {
            self.stats.type_change_rounds += 1;
        }
        let is_writable = |kind| kind == PageType::Writable;
        if is_writable(old) != is_writable(new) && self.domain(owner).config.iommu_sync {
            self.stats.iommu_changes += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::*;

    /// Returns how many rounds of type-change flushes `run` made.
    fn rounds(guest: &mut Guest, run: impl FnOnce(&mut Guest)) -> u64 {
        let before = guest.stats();
        run(guest);
        (guest.stats() - before).type_change_rounds
    }

    #[test]
    fn stamping_all_before_retyping_all_flushes_once() {
        let mut guest = Guest::with_two_vcpus();
        let tables: Vec<Mfn> = (0..8).map(|_| guest.table(&[])).collect();
        for (number, &table) in tables.iter().enumerate() {
            guest.map(number, table, KERNEL_RW).unwrap();
        }
        let grouped = rounds(&mut guest, |guest| {
            for (number, &table) in tables.iter().enumerate() {
                guest.map(number, table, KERNEL_RO).unwrap();
            }
            for &table in &tables {
                guest.pin(Level::L1, table).unwrap();
            }
        });
        assert_eq!(grouped, 1);
        let grouped = rounds(&mut guest, |guest| {
            for &table in &tables {
                guest.unpin(table).unwrap();
            }
            for (number, &table) in tables.iter().enumerate() {
                guest.map(number, table, KERNEL_RW).unwrap();
            }
        });
        assert_eq!(grouped, 1);
        let alternating = rounds(&mut guest, |guest| {
            for (number, &table) in tables.iter().enumerate() {
                guest.map(number, table, KERNEL_RO).unwrap();
                guest.pin(Level::L1, table).unwrap();
            }
        });
        assert_eq!(alternating, 8);
    }

    #[test]
    fn a_stamp_as_old_as_the_last_flush_is_not_old_enough() {
        let mut guest = Guest::domu();
        let tables: Vec<Mfn> = (0..4).map(|_| guest.table(&[])).collect();
        for (number, &table) in tables.iter().enumerate() {
            guest.map(number, table, KERNEL_RW).unwrap();
        }
        let alternating = rounds(&mut guest, |guest| {
            for (number, &table) in tables.iter().enumerate() {
                guest.map(number, table, KERNEL_RO).unwrap();
                guest.pin(Level::L1, table).unwrap();
            }
        });
        assert_eq!(alternating, 4);
    }

    #[test]
    fn a_frame_that_gets_its_old_type_back_needs_no_flush() {
        let mut guest = Guest::domu();
        let table = guest.table(&[]);
        guest.pin(Level::L1, table).unwrap();
        guest.unpin(table).unwrap();
        let again = rounds(&mut guest, |guest| guest.pin(Level::L1, table).unwrap());
        assert_eq!(again, 0);
        assert_eq!(guest.stats().promotions, 2);
    }

    #[test]
    fn a_type_change_flushes_stale_writable_translations() {
        let mut guest = Guest::with_two_vcpus();
        let (other, va, table) = (guest.other(), guest.va(0), guest.table(&[]));
        guest.map(0, table, KERNEL_RW).unwrap();
        guest.write_u64(other, va, 0).unwrap();
        guest.map(0, table, KERNEL_RO).unwrap();
        assert!(guest
            .cached(other, va)
            .is_some_and(|cached| cached.writable));
        guest.pin(Level::L1, table).unwrap();
        assert_eq!(guest.cached(other, va), None);
        assert!(guest.write_u64(other, va, 0).is_err());
    }

    #[test]
    fn upper_entries_flush_once_per_call_and_once_more_per_table_let_go() {
        let mut guest = Guest::with_two_vcpus();
        let (who, path) = (guest.who, guest.path(&[]));
        let more: Vec<Mfn> = (0..3).map(|_| guest.table(&[])).collect();
        guest.pin(Level::L4, path.root()).unwrap();
        for &table in &more {
            guest.pin(Level::L1, table).unwrap();
        }
        let place = |index| path.tables[2].word(index);
        let work = |guest: &mut Guest, values: [u64; 3]| {
            let updates: Vec<MmuUpdate> = (1..)
                .zip(values)
                .map(|(index, val)| MmuUpdate::normal(place(index), val))
                .collect();
            let before = guest.stats();
            assert_eq!(guest.mmu_update(who, &updates, SELF).result, Ok(()));
            let work = guest.stats() - before;
            (work.world_entries, work.local_flushes, work.ipi_rounds)
        };
        let links: Vec<u64> = more
            .iter()
            .map(|&table| Entry::new(table, TABLE).0)
            .collect();
        let links = [links[0], links[1], links[2]];
        assert_eq!(work(&mut guest, links), (1, 1, 1));
        assert_eq!(
            work(&mut guest, links.map(|link| link | (1 << 9))),
            (1, 1, 1)
        );
        assert_eq!(work(&mut guest, [0, 0, 0]), (4, 3, 3));
    }

    #[test]
    fn leaves_flush_nothing_and_a_new_root_the_caller_only() {
        let mut guest = Guest::with_two_vcpus();
        let (frame, root) = (guest.page(), guest.start_of_day(guest.domain).root);
        guest.map(0, frame, KERNEL_RO).unwrap();
        let before = guest.stats();
        guest.map(0, frame, USER_RO).unwrap();
        guest.update(guest.leaf(0), 0).unwrap();
        guest.ext(MmuExtOp::NewUserBaseptr(root)).unwrap();
        let work = guest.stats() - before;
        assert_eq!((work.local_flushes, work.ipi_rounds), (0, 0));
        guest.ext(MmuExtOp::NewBaseptr(root)).unwrap();
        let work = guest.stats() - before;
        assert_eq!((work.local_flushes, work.ipi_rounds), (1, 0));
    }

    #[test]
    fn leaves_cost_the_atomics_that_the_contract_tells() {
        let mut guest = Guest::domu();
        let (who, frame) = (guest.who, guest.page());
        guest.map(1, frame, KERNEL_RW).unwrap();
        let at = guest.leaf(0);
        let cost = |guest: &mut Guest, update| {
            let before = guest.stats().atomics;
            guest.mmu_update_one(who, update).unwrap();
            guest.stats().atomics - before
        };
        let leaf = Entry::new(frame, USER_RW).0;
        assert_eq!(cost(&mut guest, MmuUpdate::normal(at, leaf)), 6, "install");
        assert_eq!(
            cost(&mut guest, MmuUpdate::normal(at, leaf | (1 << 9))),
            4,
            "fast path"
        );
        assert_eq!(
            cost(&mut guest, MmuUpdate::preserve_ad(at, leaf)),
            5,
            "and preserve"
        );
        assert_eq!(
            cost(&mut guest, MmuUpdate::normal(at, leaf & !2)),
            7,
            "write-protect"
        );
        assert_eq!(cost(&mut guest, MmuUpdate::normal(at, 0)), 5, "clear");
    }

    #[test]
    fn mode_changes_drop_translations_that_are_not_global() {
        let mut guest = Guest::domu();
        let (who, va, frame) = (guest.who, guest.va(0), guest.page());
        let path = guest.path(&[(0, Entry::new(frame, USER_RW))]);
        guest.ext(MmuExtOp::NewUserBaseptr(path.root())).unwrap();
        guest.map(0, frame, KERNEL_RW).unwrap();
        guest.read_u64(who, va).unwrap();
        guest.user_read(who, 0).unwrap();
        assert_eq!(guest.cached(who, va), None);
        guest.read_u64(who, va).unwrap();
        assert!(guest.cached(who, 0).is_some_and(|cached| cached.global));
    }

    #[test]
    fn a_right_that_was_added_may_cost_a_fault() {
        for spurious_faults in [false, true] {
            let mut machine = Config::new(8192, 1);
            machine.spurious_faults = spurious_faults;
            let mut guest = Guest::on(machine, DomainConfig::domu(600).compact());
            let (who, va, frame) = (guest.who, guest.va(0), guest.page());
            // The frame is writable already, so its type does not change.
            guest.map(1, frame, KERNEL_RW).unwrap();
            guest.map(0, frame, KERNEL_RO).unwrap();
            guest.read_u64(who, va).unwrap();
            guest.map(0, frame, KERNEL_RW).unwrap();
            assert_eq!(guest.write_u64(who, va, 1).is_err(), spurious_faults);
            guest.write_u64(who, va, 1).unwrap();
        }
    }

    #[test]
    fn the_iommu_follows_writable_frames() {
        let mut config = DomainConfig::domu(600).compact();
        config.iommu_sync = true;
        let mut guest = Guest::new(config);
        let table = guest.table(&[]);
        guest.map(0, table, KERNEL_RW).unwrap();
        let before = guest.stats().iommu_changes;
        guest.map(0, table, KERNEL_RO).unwrap();
        assert_eq!(guest.stats().iommu_changes, before);
        guest.pin(Level::L1, table).unwrap();
        guest.unpin(table).unwrap();
        guest.pin(Level::L1, table).unwrap();
        assert_eq!(guest.stats().iommu_changes, before + 1);
    }
}
