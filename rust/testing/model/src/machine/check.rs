// SPDX-License-Identifier: GPL-2.0-only

//! Checks of the machine's state: each count must match the reasons that it counts.

use crate::entry::{
    Entry,
    Level, //
};
use crate::hypercall::grant::gntmap;
use crate::machine::frame::{
    Frame,
    Owner,
    PageType,
    Reason,
    INVALID_M2P, //
};
use crate::types::{
    Mfn,
    Vcpu,
    ENTRIES, //
};
use crate::Machine;

/// Sum of the reasons for a frame.
#[derive(Clone, Copy, Default)]
struct Tally {
    count: u32,
    type_count: u32,
    /// The type that the reasons agree on, if they do.
    kind: Option<PageType>,
    is_mixed: bool,
}

impl Tally {
    fn add_type(&mut self, kind: PageType) {
        self.type_count += 1;
        self.is_mixed |= self.kind.is_some_and(|other| other != kind);
        self.kind = Some(kind);
    }
}

impl Machine {
    /// Checks the whole machine; returns one line for each error.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = self.noted.clone();
        let mut tallies = vec![Tally::default(); self.frames.len()];
        self.for_each_reason(|mfn, reason, kind| {
            let Some(tally) = tallies.get_mut(mfn.index()) else {
                wrong.push(format!("{mfn:?} is outside of memory, and has {reason:?}"));
                return;
            };
            tally.count += 1;
            if let Some(kind) = kind {
                tally.add_type(kind);
            }
        });
        for (index, (frame, tally)) in self.frames.iter().zip(&tallies).enumerate() {
            let mfn = Mfn(index as u64);
            for what in disagreements(frame, tally) {
                wrong.push(format!(
                    "{mfn:?}: {what}: {frame:?}, because {:?}",
                    self.reasons(mfn)
                ));
            }
        }
        self.check_tlbs(&mut wrong);
        wrong
    }

    /// Checks the whole machine.
    ///
    /// # Panics
    ///
    /// If anything is wrong.
    #[track_caller]
    pub fn assert_sound(&self) {
        let wrong = self.check();
        assert!(
            wrong.is_empty(),
            "{} things are wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }

    /// Returns the reasons to keep `mfn`.
    pub fn reasons(&self, mfn: Mfn) -> Vec<Reason> {
        let mut reasons = Vec::new();
        self.for_each_reason(|of, reason, _| {
            if of == mfn {
                reasons.push(reason);
            }
        });
        reasons
    }

    /// Calls `found` with each reason, its frame, and the type that it is a reason for, if any.
    fn for_each_reason(&self, mut found: impl FnMut(Mfn, Reason, Option<PageType>)) {
        for (index, frame) in self.frames.iter().enumerate() {
            let mfn = Mfn(index as u64);
            if frame.allocated {
                found(mfn, Reason::Allocation, None);
            }
            if frame.pinned {
                found(mfn, Reason::Pin, Some(frame.kind));
            }
            if let (Some(level), true) = (frame.table(), frame.validated) {
                self.for_each_entry_reason(mfn, level, &mut found);
            }
        }
        for (&mfn, &(all, writable)) in &self.held {
            for number in 0..all {
                let writable = number < writable;
                let kind = writable.then_some(PageType::Writable);
                found(mfn, Reason::Xen { writable }, kind);
            }
        }
        for domain in self.domains.values() {
            for (index, state) in domain.vcpus.iter().enumerate() {
                let vcpu = Vcpu {
                    domain: domain.id,
                    index: index as u32,
                };
                let root = Some(PageType::Table(Level::L4));
                for (mfn, user) in [(state.root, false), (state.user_root, true)] {
                    if let Some(mfn) = mfn {
                        found(mfn, Reason::Root { vcpu, user }, root);
                    }
                }
                for &mfn in &state.gdt {
                    found(mfn, Reason::Descriptors { vcpu }, Some(PageType::SegDesc));
                }
            }
            for (&handle, mapping) in &domain.grants.mappings {
                if mapping.active & gntmap::DEVICE_MAP != 0 {
                    let writable = mapping.is_writable();
                    let kind = writable.then_some(PageType::Writable);
                    found(mapping.mfn, Reason::GrantDevice { handle, writable }, kind);
                }
            }
        }
    }

    fn for_each_entry_reason(
        &self,
        table: Mfn,
        level: Level,
        found: &mut impl FnMut(Mfn, Reason, Option<PageType>),
    ) {
        if self.frame(table).is_filled_with(0) {
            return;
        }
        for index in (0..ENTRIES).filter(|&index| level.is_guest_slot(index)) {
            let entry = Entry(self.frame_word(table, index));
            if !entry.is_present() {
                continue;
            }
            let writable = entry.is_writable();
            let leaf = Reason::Leaf {
                table,
                index,
                writable,
            };
            let kind = writable.then_some(PageType::Writable);
            match level.below() {
                None if self.is_io(entry.mfn()) => {}
                None => found(entry.mfn(), leaf, kind),
                Some(_) if entry.is_large(level) => {
                    let first = entry.mfn().0;
                    for frame in first..first + (1 << (level.shift() - 12)) {
                        found(Mfn(frame), leaf, kind);
                    }
                }
                Some(below) => {
                    let hook = Reason::Hook { table, index };
                    found(entry.mfn(), hook, Some(PageType::Table(below)));
                }
            }
        }
    }

    fn check_tlbs(&self, wrong: &mut Vec<String>) {
        for vcpu in self.all_vcpus() {
            for (va, cached) in self.vcpu(vcpu).tlb.iter() {
                let Some(frame) = self.frames.get(cached.mfn.index()) else {
                    continue;
                };
                // Xen flushes only the CPUs of the owner.
                let is_own = frame.owner == Owner::Domain(vcpu.domain);
                if cached.writable && is_own && frame.is_protected() {
                    wrong.push(format!(
                        "{vcpu:?} caches a writable translation of {va:#x} to {:?}, {:?}",
                        cached.mfn, frame.kind
                    ));
                }
            }
        }
    }
}

/// Returns how a frame and the reasons for it disagree.
fn disagreements(frame: &Frame, tally: &Tally) -> Vec<&'static str> {
    let mut found = Vec::new();
    if frame.count != tally.count {
        found.push("the count is not that of the reasons");
    }
    if frame.type_count != tally.type_count {
        found.push("the type count is not that of the reasons");
    }
    if tally.is_mixed {
        found.push("there are reasons for different types");
    }
    if tally.kind.is_some_and(|kind| kind != frame.kind) {
        found.push("the type is not that of the reasons");
    }
    if frame.type_count > 0 && !frame.validated {
        found.push("the type is in use and was not validated");
    }
    let is_free = frame.owner == Owner::Nobody;
    if is_free && (frame.count > 0 || frame.m2p != INVALID_M2P) {
        found.push("a free frame is in use");
    }
    if matches!(frame.owner, Owner::Domain(_)) && frame.count == 0 {
        found.push("a frame is owned and nothing keeps it");
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::paging::tlb::Translation;
    use crate::testing::*;
    use crate::*;

    /// Checks that `check()` finds the one error that `spoil` puts into a frame.
    fn finds(what: &str, spoil: impl FnOnce(&mut Frame)) {
        let mut guest = Guest::domu();
        let frame = guest.page();
        guest.map(0, frame, KERNEL_RW).unwrap();
        let good = guest.machine.frames[frame.index()].clone();
        spoil(&mut guest.machine.frames[frame.index()]);
        let wrong = guest.check();
        assert!(
            wrong.iter().any(|line| line.contains(what)),
            "{what}: {wrong:?}"
        );
        assert!(
            wrong[0].contains("Leaf"),
            "the reasons are there: {wrong:?}"
        );
        guest.machine.frames[frame.index()] = good;
    }

    #[test]
    fn each_error_is_found() {
        finds("the count is not", |frame| frame.count += 1);
        finds("the type count is not", |frame| frame.type_count += 1);
        finds("the type is not", |frame| frame.kind = PageType::SegDesc);
        finds("was not validated", |frame| frame.validated = false);
        finds("different types", |frame| {
            frame.pinned = true;
            frame.kind = PageType::Table(Level::L1);
        });
        finds("a free frame is in use", |frame| {
            frame.owner = Owner::Nobody
        });
    }

    #[test]
    fn an_owned_frame_that_nothing_keeps_is_found() {
        let mut guest = Guest::domu();
        let frame = guest.page();
        guest.machine.frames[frame.index()].count = 0;
        guest.machine.frames[frame.index()].allocated = false;
        assert!(guest.check()[0].contains("nothing keeps it"));
        guest.machine.frames[frame.index()].count = 1;
        guest.machine.frames[frame.index()].allocated = true;
    }

    #[test]
    fn a_writable_translation_to_a_table_is_found() {
        let mut guest = Guest::domu();
        let (who, va, root) = (
            guest.who,
            guest.va(0),
            guest.start_of_day(guest.domain).root,
        );
        let translation = Translation {
            mfn: root,
            writable: true,
            dirty: true,
            global: false,
        };
        guest.machine.vcpu_mut(who).tlb.insert(va, translation);
        assert!(guest.check()[0].contains("caches a writable translation"));
        guest.write_u64(who, va, 0).unwrap();
        assert!(guest.check()[0].contains("behind Xen's back"));
        guest.machine.noted.clear();
        guest.machine.vcpu_mut(who).tlb.drop_all();
    }
}
