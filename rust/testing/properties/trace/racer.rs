// SPDX-License-Identifier: GPL-2.0-only

//! Threads on other CPUs that write to the file while an operation is under way.

use super::Trace;
use crate::guest::{
    Access,
    PAGE, //
};
use crate::p2m;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::host;
use crate::properties::reference::Contents;
use std::collections::BTreeMap;
use xen_model::{
    Machine,
    Mfn,
    Rng,
    Vcpu, //
};

/// A page that a thread could write to.
struct Place {
    vcpu: Vcpu,
    mm: Mm,
    va: u64,
}

impl Place {
    /// Returns the frame that a write would go to, if the thread still runs.
    fn target(&self, machine: &Machine) -> Option<Mfn> {
        let is_running = host().cpus.borrow()[self.vcpu.index as usize].runs(self.mm);
        if !is_running {
            return None;
        }
        let cached = machine.cached(self.vcpu, self.va);
        let root = machine.user_root(self.vcpu)?;
        let walk = machine.translate_from(root, self.va).map(|walk| walk.mfn);
        match cached.map(|cached| cached.mfn) {
            // A write may walk the tables again, which may have changed by now.
            Some(mfn) if walk.is_none_or(|walked| walked == mfn) => Some(mfn),
            Some(_) => None,
            None => walk,
        }
    }
}

/// The threads that could write.
pub(crate) struct Racer {
    rng: Rng,
    /// The pages that they could write to.
    places: Vec<Place>,
    /// The pages of the file.
    frames: BTreeMap<Mfn, usize>,
    /// Their writes to pages of the file, in order.
    writes: Vec<(usize, u64)>,
    next_word: u64,
}

impl Racer {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            places: Vec::new(),
            frames: BTreeMap::new(),
            writes: Vec::new(),
            // Differs from all words that the trace writes.
            next_word: 1 << 32,
        }
    }

    /// Has a thread write, or does nothing.
    fn run(&mut self, machine: &mut Machine) {
        if self.rng.one_in(2) {
            return;
        }
        let nth = self.rng.below(self.places.len() as u64) as usize;
        let place = &self.places[nth];
        // The address may no longer map the file.
        let target = place.target(machine);
        let Some(&number) = target.and_then(|mfn| self.frames.get(&mfn)) else {
            return;
        };
        let result = machine.user_write(place.vcpu, place.va, self.next_word);
        if result.is_ok() {
            self.writes.push((number, self.next_word));
            self.next_word += 2;
        }
    }
}

impl Trace {
    /// Starts the writes of threads on other CPUs.
    pub(super) fn start_racer(&mut self) {
        let host = self.guest.host();
        let this = host.this_cpu();
        let mut racer = self.racer.borrow_mut();
        racer.places.clear();
        for (cpu, state) in host.cpus.borrow().iter().enumerate() {
            let vcpu = host.domain.vcpu(cpu as u32);
            let running = self
                .live
                .iter()
                .find(|live| cpu as u32 != this && state.runs(live.process.mm()));
            let Some(running) = running else {
                continue;
            };
            let writable = running.space.cells().filter(|(_, cell)| {
                cell.access == Access::Write && matches!(cell.contents, Contents::File(_))
            });
            let places = writable.map(|(page, _)| Place {
                vcpu,
                mm: running.process.mm(),
                va: (page * PAGE) as u64,
            });
            racer.places.extend(places);
        }
        if racer.places.is_empty() {
            return;
        }
        let pages = self.guest.pages.borrow();
        let frames = pages.file().filter_map(|(number, pfn)| {
            let mfn = p2m::mfn_of(pfn)?;
            Some((Mfn(mfn.raw() as u64), number))
        });
        racer.frames = frames.collect();
        let shared = self.racer.clone();
        host.machine
            .borrow_mut()
            .set_interloper(Some(Box::new(move |machine, _| {
                shared.borrow_mut().run(machine);
            })));
    }

    /// Stops the writes of threads on other CPUs.
    pub(super) fn stop_racer(&mut self) {
        self.guest.host().machine.borrow_mut().set_interloper(None);
        self.apply_races();
    }

    /// Copies into the reference what other threads have written so far.
    pub(super) fn apply_races(&mut self) {
        for (number, word) in self.racer.borrow_mut().writes.drain(..) {
            self.file.write(number, word);
        }
    }
}
