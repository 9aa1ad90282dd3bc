// SPDX-License-Identifier: GPL-2.0

//! TLBs of the CPUs: what they hold, and who flushes what when.

use crate::frame::PageType;
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

    /// Returns the vCPUs that hold a translation to `mfn`, and for which address: to be empty when
    /// a guest gives a frame a new use.
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

    /// Returns the translations of `vcpu` that its tables do not give any more, or not with as
    /// many rights.
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

    /// Does what a change of the type of `mfn` from `old` to `new` asks for.
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
