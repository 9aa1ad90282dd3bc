// SPDX-License-Identifier: GPL-2.0-only

//! What the toolstack finds when it saves a domain.

use crate::entry::{
    Entry,
    Level, //
};
use crate::machine::frame::Owner;
use crate::types::{
    DomainId,
    Mfn,
    ENTRIES, //
};
use crate::Machine;

/// Indices of the words of `shared_info` that describe the p2m list to the toolstack
/// (`public/arch-x86/xen.h`, `arch_shared_info`).
pub mod shared_info {
    /// `max_pfn`.
    pub const MAX_PFN: usize = 386;
    /// `pfn_to_mfn_frame_list_list`.
    pub const FRAME_LIST_LIST: usize = 387;
    /// `p2m_cr3`.
    pub const P2M_CR3: usize = 389;
    /// `p2m_vaddr`.
    pub const P2M_VADDR: usize = 390;
    /// `p2m_generation`.
    pub const P2M_GENERATION: usize = 391;
}

/// The address range of a p2m list must not touch Xen's.
const XEN_RANGE: std::ops::Range<u64> =
    crate::paging::access::XEN_START..crate::paging::access::XEN_END;

/// A reason why a save or migration fails, or why the domain breaks afterwards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SaveError {
    /// I38: there is no usable p2m list.
    List(String),
    /// I39: the mapping of the list, or its length, changed although the generation did not.
    Generation,
    /// I32: a frame of the list names another page.
    BadFrame {
        /// The page.
        pfn: u64,
        /// What the list names for it.
        mfn: Mfn,
    },
    /// I41: a present entry maps what cannot be migrated.
    BadEntry {
        /// The table.
        table: Mfn,
        /// The index of the entry.
        index: usize,
        /// The entry.
        entry: u64,
    },
    /// I40: a frame that Xen does not know as a table seems to hold machine frames.
    RawTable(Mfn),
    /// I13: an entry that is not present seems to hold a machine frame.
    NotPresent {
        /// The table.
        table: Mfn,
        /// The index of the entry.
        index: usize,
    },
    /// I40: a vCPU's root is not in the list.
    Root(Mfn),
}

/// How long a p2m list is and where it is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListLength {
    max_pfn: u64,
    cr3: u64,
}

/// The toolstack's view of a p2m list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListView {
    /// `p2m_generation` when it was read.
    pub generation: u64,
    /// The frames of the list itself.
    pub pages: Vec<Mfn>,
    /// What the list names for each page; all ones where there is none.
    pub words: Vec<u64>,
}

impl Machine {
    fn shared_word(&self, domain: DomainId, index: usize) -> u64 {
        self.frame_word(self.shared_info(domain), index)
    }

    /// Reads what Xen's toolstack reads first of a p2m list (`map_p2m()`).
    pub fn list_length(&self, domain: DomainId) -> ListLength {
        ListLength {
            max_pfn: self.shared_word(domain, shared_info::MAX_PFN),
            cr3: self.shared_word(domain, shared_info::P2M_CR3),
        }
    }

    /// Reads the p2m list of `domain` as Xen's toolstack does after it has read the length, in the
    /// form that is published. It reads the generation only now, and accepts any.
    pub fn map_list(&self, domain: DomainId, length: ListLength) -> Result<ListView, SaveError> {
        let ListLength { max_pfn, cr3 } = length;
        if max_pfn == 0 {
            return Err(list("max_pfn is 0"));
        }
        let pages = if cr3 != 0 {
            self.linear_pages(domain, Mfn(cr3 >> 12), max_pfn)?
        } else {
            self.tree_pages(domain, max_pfn)?
        };
        let words = (0..max_pfn)
            .map(|pfn| self.frame_word(pages[pfn as usize / 512], pfn as usize % 512))
            .collect();
        Ok(ListView {
            generation: self.shared_word(domain, shared_info::P2M_GENERATION),
            pages,
            words,
        })
    }

    /// Reads the p2m list of a `domain` that does not run.
    pub fn read_list(&self, domain: DomainId) -> Result<ListView, SaveError> {
        self.map_list(domain, self.list_length(domain))
    }

    /// Walks the tables of the linear list (`map_p2m_list()`), which ignores present and large
    /// bits.
    fn linear_pages(
        &self,
        domain: DomainId,
        root: Mfn,
        max_pfn: u64,
    ) -> Result<Vec<Mfn>, SaveError> {
        let start = self.shared_word(domain, shared_info::P2M_VADDR);
        let nr_pages = max_pfn.div_ceil(512);
        let end = start.wrapping_add(nr_pages * 4096 - 1);
        let is_canonical = |va| crate::paging::access::canonical(va) == va;
        if start % 4096 != 0 || !is_canonical(start) || !is_canonical(end) || end < start {
            return Err(list(&format!("its address is {start:#x}")));
        }
        if start < XEN_RANGE.end && end >= XEN_RANGE.start {
            return Err(list("it is in Xen's part of the address space"));
        }
        let pages = (0..nr_pages).map(|page| {
            let va = start + page * 4096;
            let mut table = self.own_frame(domain, root)?;
            for level in Level::DOWN {
                let entry = Entry(self.frame_word(table, level.index(va)));
                table = self.own_frame(domain, entry.mfn())?;
            }
            Ok(table)
        });
        pages.collect()
    }

    /// Reads the tree of frame lists: top and middle pages hold machine frames.
    fn tree_pages(&self, domain: DomainId, max_pfn: u64) -> Result<Vec<Mfn>, SaveError> {
        let top = self.shared_word(domain, shared_info::FRAME_LIST_LIST);
        if max_pfn > 1 << 27 {
            return Err(list("the tree does not reach max_pfn"));
        }
        let top = self.own_frame(domain, Mfn(top))?;
        let pages = (0..max_pfn.div_ceil(512) as usize).map(|page| {
            let middle = self.own_frame(domain, Mfn(self.frame_word(top, page / 512)))?;
            self.own_frame(domain, Mfn(self.frame_word(middle, page % 512)))
        });
        pages.collect()
    }

    /// Returns `mfn` if the toolstack can map it.
    fn own_frame(&self, domain: DomainId, mfn: Mfn) -> Result<Mfn, SaveError> {
        if mfn.0 != 0 && self.owns(domain, mfn) {
            Ok(mfn)
        } else {
            Err(list(&format!("{mfn:?} of it is not the domain's")))
        }
    }

    /// Returns every reason why a save of `domain`, paused now, would fail or break it.
    pub fn save_check(&self, domain: DomainId) -> Vec<SaveError> {
        let view = match self.read_list(domain) {
            Ok(view) => view,
            Err(error) => return vec![error],
        };
        let mut errors = Vec::new();
        if view.generation % 2 != 0 {
            errors.push(SaveError::Generation);
        }
        for (pfn, &word) in view.words.iter().enumerate() {
            let (pfn, mfn) = (pfn as u64, Mfn(word));
            // Words beyond memory stand for pages without data.
            if self.is_valid(mfn) && (!self.owns(domain, mfn) || self.m2p(mfn) != Some(pfn)) {
                errors.push(SaveError::BadFrame { pfn, mfn });
            }
        }
        for mfn in self.frames_of(domain) {
            let frame = self.frame(mfn);
            let is_listed = self.is_listed(&view, mfn);
            match frame.table() {
                Some(level) => self.check_table(domain, &view, mfn, level, &mut errors),
                None if is_listed && self.seems_a_table(domain, mfn) => {
                    errors.push(SaveError::RawTable(mfn));
                }
                None if !is_listed && frame.allocated => {
                    let pfn = frame.m2p;
                    errors.push(SaveError::BadFrame { pfn, mfn });
                }
                None => {}
            }
        }
        for vcpu in self.dirty_mask(domain) {
            let state = self.vcpu(vcpu);
            let roots = [state.root, state.user_root].into_iter().flatten();
            errors.extend(
                roots
                    .filter(|&r| !self.is_listed(&view, r))
                    .map(SaveError::Root),
            );
        }
        errors
    }

    /// Whether the list and Xen's table agree on `mfn` (`mfn_in_pseudophysmap()`).
    fn is_listed(&self, view: &ListView, mfn: Mfn) -> bool {
        let pfn = self.m2p(mfn).unwrap_or(u64::MAX);
        usize::try_from(pfn).is_ok_and(|pfn| view.words.get(pfn) == Some(&mfn.0))
    }

    /// Checks a table as its conversion to page numbers does (`normalise_pagetable()`).
    fn check_table(
        &self,
        domain: DomainId,
        view: &ListView,
        table: Mfn,
        level: Level,
        errors: &mut Vec<SaveError>,
    ) {
        for index in (0..ENTRIES).filter(|&index| level.is_guest_slot(index)) {
            let entry = Entry(self.frame_word(table, index));
            if entry.is_present() {
                if entry.is_large(level) || !self.is_listed(view, entry.mfn()) {
                    errors.push(SaveError::BadEntry {
                        table,
                        index,
                        entry: entry.0,
                    });
                }
            } else if entry.mfn().0 != 0 && self.owns(domain, entry.mfn()) {
                errors.push(SaveError::NotPresent { table, index });
            }
        }
    }

    /// Whether all words of a frame are 0 or present entries for frames of `domain`: a guess, since
    /// Xen does not know the frame as a table.
    fn seems_a_table(&self, domain: DomainId, mfn: Mfn) -> bool {
        let frame = self.frame(mfn);
        if frame.is_filled_with(frame.word(0)) {
            return false;
        }
        let words = (0..ENTRIES).map(|index| Entry(frame.word(index)));
        let (present, absent): (Vec<Entry>, Vec<Entry>) = words.partition(|e| e.is_present());
        !present.is_empty()
            && absent.iter().all(|entry| entry.0 == 0)
            && present.iter().all(|entry| self.owns(domain, entry.mfn()))
    }
}

/// Watches the p2m list of a domain as Xen's toolstack does (`xg_sr_save_x86_pv.c`).
///
/// Each look is one of its steps; the domain runs between them. First it reads the length. Then it
/// reads the generation and maps that many pages, even while the generation is odd. From then on a
/// live migration ends if the generation has changed; a save that is not live does not check again.
#[derive(Clone, Debug)]
pub struct ListWatch {
    domain: DomainId,
    step: Step,
    last: Option<(u64, ListLength)>,
}

/// What the toolstack knows so far.
#[derive(Clone, Debug)]
enum Step {
    Nothing,
    Length(ListLength),
    Mapped(ListLength, ListView),
}

impl ListWatch {
    /// Starts to watch.
    pub fn new(domain: DomainId) -> Self {
        Self {
            domain,
            step: Step::Nothing,
            last: None,
        }
    }

    /// Takes the next step; fails if the list cannot be mapped, or if it changed while the
    /// generation did not.
    pub fn look(&mut self, machine: &Machine) -> Result<(), SaveError> {
        let generation = machine.shared_word(self.domain, shared_info::P2M_GENERATION);
        let length = machine.list_length(self.domain);
        let is_stable = generation % 2 == 0;

        let last = self.last.replace((generation, length));
        if is_stable && last.is_some_and(|(then, before)| then == generation && before != length) {
            return Err(SaveError::Generation);
        }
        self.step = match std::mem::replace(&mut self.step, Step::Nothing) {
            Step::Nothing => Step::Length(length),
            Step::Length(length) => Step::Mapped(length, machine.map_list(self.domain, length)?),
            Step::Mapped(length, view) => {
                let now = machine.map_list(self.domain, length)?;
                if now.generation != view.generation {
                    Step::Nothing
                } else if is_stable && now.pages != view.pages {
                    return Err(SaveError::Generation);
                } else {
                    Step::Mapped(length, view)
                }
            }
        };
        Ok(())
    }
}

impl Machine {
    /// Sets a word of `shared_info` without calling the watcher.
    pub fn set_shared_word(&mut self, domain: DomainId, index: usize, word: u64) {
        let page = self.shared_info(domain);
        debug_assert_eq!(self.frame(page).owner, Owner::Domain(domain));
        self.frames[page.index()].set_word(index, word);
    }
}

fn list(what: &str) -> SaveError {
    SaveError::List(what.to_string())
}
