// SPDX-License-Identifier: GPL-2.0-only

//! Save and restore: a domain continues with other machine frames.

use crate::entry::{
    Entry,
    FRAME,
    XEN_SLOTS, //
};
use crate::lifecycle::save::{
    shared_info,
    ListView,
    SaveError, //
};
use crate::machine::frame::{
    Frame,
    Owner,
    PageType, //
};
use crate::types::{
    DomainId,
    Mfn,
    ENTRIES, //
};
use crate::{
    Level,
    Machine, //
};

/// A page as it is in the stream.
struct SavedPage {
    pfn: u64,
    frame: Frame,
}

impl Machine {
    /// Saves `domain` as it is, and restores it on this machine with new frames.
    ///
    /// The vCPUs continue in their tables. Of what the domain has published, the toolstack
    /// refreshes `start_info` only, for which it knows where the page was at start of day.
    pub fn migrate(&mut self, domain: DomainId) -> Result<(), Vec<SaveError>> {
        let errors = self.save_check(domain);
        if !errors.is_empty() {
            return Err(errors);
        }
        let view = self.read_list(domain).map_err(|error| vec![error])?;
        let roots = self.saved_roots(domain);
        let pages = self.save_pages(domain, &view);
        let is_list_page: Vec<u64> = view.pages.iter().map(|&mfn| self.pfn_of(mfn)).collect();

        let old: Vec<Mfn> = pages
            .iter()
            .map(|page| Mfn(view.words[page.pfn as usize]))
            .collect();
        let new: Vec<Mfn> = pages
            .iter()
            .map(|_| {
                self.domain_mut(domain).config.max_pages += 1;
                self.allocate(domain, 0, u64::MAX)
                    .expect("the machine has room for a copy")
            })
            .collect();
        let mut frame_of = vec![None; view.words.len()];
        for (page, &mfn) in pages.iter().zip(&new) {
            frame_of[page.pfn as usize] = Some(mfn);
            self.frames[mfn.index()].m2p = page.pfn;
        }
        let translate = |machine: &Machine, mfn: Mfn| {
            let pfn = machine.pfn_of(mfn) as usize;
            frame_of[pfn].expect("each entry was checked when the domain was saved")
        };
        for (page, &mfn) in pages.iter().zip(&new) {
            self.frames[mfn.index()].copy_contents(&page.frame);
            if let Some(level) = page.frame.table() {
                self.translate_table(mfn, level, translate);
            }
        }
        for (chunk, pfn) in is_list_page.iter().enumerate() {
            let list = frame_of[*pfn as usize].expect("the list is part of the domain");
            for (index, frame) in frame_of.iter().skip(chunk * 512).take(512).enumerate() {
                let word = frame.map_or(u64::MAX, |mfn| mfn.0);
                self.frames[list.index()].set_word(index, word);
            }
        }
        self.drop_old(domain, &old);
        self.restart(domain, &pages, &new, roots, &frame_of);
        Ok(())
    }

    fn pfn_of(&self, mfn: Mfn) -> u64 {
        self.frame(mfn).m2p
    }

    fn saved_roots(&self, domain: DomainId) -> Vec<[Option<u64>; 2]> {
        let vcpus = self.domain(domain).vcpus.iter();
        let pfn = |root: Option<Mfn>| root.map(|root| self.pfn_of(root));
        vcpus.map(|v| [pfn(v.root), pfn(v.user_root)]).collect()
    }

    fn save_pages(&self, domain: DomainId, view: &ListView) -> Vec<SavedPage> {
        let pages = view.words.iter().enumerate();
        pages
            .filter(|(_, &word)| self.owns(domain, Mfn(word)))
            .map(|(pfn, &word)| SavedPage {
                pfn: pfn as u64,
                frame: self.frame(Mfn(word)).clone(),
            })
            .collect()
    }

    fn translate_table(&mut self, table: Mfn, level: Level, translate: impl Fn(&Self, Mfn) -> Mfn) {
        for index in 0..ENTRIES {
            let entry = Entry(self.frame_word(table, index));
            let word = if level == Level::L4 && XEN_SLOTS.contains(&index) {
                0
            } else if entry.is_present() {
                (entry.0 & !FRAME) | translate(self, entry.mfn()).maddr()
            } else {
                entry.0
            };
            self.frames[table.index()].set_word(index, word);
        }
    }

    /// Drops the frames that the domain had, with all references among them.
    fn drop_old(&mut self, domain: DomainId, old: &[Mfn]) {
        let state = self.domain_mut(domain);
        state.config.max_pages -= old.len() as u64;
        state.tot_pages -= old.len() as u64;
        for vcpu in &mut state.vcpus {
            (vcpu.root, vcpu.user_root) = (None, None);
            vcpu.gdt.clear();
            vcpu.tlb.drop_all();
        }
        for &mfn in old {
            self.frames[mfn.index()] = Frame::new(Owner::Nobody);
            self.dirty_ledger.forget(mfn);
            self.heap.give_back(mfn);
        }
    }

    fn restart(
        &mut self,
        domain: DomainId,
        pages: &[SavedPage],
        new: &[Mfn],
        roots: Vec<[Option<u64>; 2]>,
        frame_of: &[Option<Mfn>],
    ) {
        for (page, &mfn) in pages.iter().zip(new) {
            if let (true, Some(level)) = (page.frame.pinned, page.frame.table()) {
                self.get_page_and_type(mfn, domain, PageType::Table(level))
                    .expect("a table stays valid in its new frames");
                self.frames[mfn.index()].pinned = true;
            }
        }
        for (index, roots) in roots.into_iter().enumerate() {
            let roots = roots.map(|root| root.and_then(|pfn| frame_of[pfn as usize]));
            for root in roots.into_iter().flatten() {
                self.get_page_and_type(root, domain, PageType::Table(Level::L4))
                    .expect("a root stays valid in its new frames");
            }
            if let [Some(root), _] = roots {
                self.show_m2p(root, true);
            }
            let vcpu = &mut self.domain_mut(domain).vcpus[index];
            [vcpu.root, vcpu.user_root] = roots;
        }
        self.refresh_start_info(domain, frame_of);
    }

    fn refresh_start_info(&mut self, domain: DomainId, frame_of: &[Option<Mfn>]) {
        self.set_shared_word(domain, shared_info::FRAME_LIST_LIST, 0);
        let mut start = self.domain(domain).start.clone();
        let region_start = self.domain(domain).config.virt_base;
        let page = |va: u64| ((va - region_start) / 4096) as usize;
        let moved = |old: u64| {
            let at = start.frames.iter().position(|mfn| mfn.0 == old);
            at.and_then(|pfn| frame_of[pfn]).map_or(0, |mfn| mfn.0)
        };
        (start.store_mfn, start.console_mfn) = (moved(start.store_mfn), moved(start.console_mfn));
        start.flags = 0;
        start.nr_pages = frame_of.len() as u64;
        start.root = self.domain(domain).vcpus[0].root.unwrap_or(start.root);
        start.frames = frame_of
            .iter()
            .map(|mfn| mfn.unwrap_or(Mfn(u64::MAX)))
            .collect();
        if let Some(info) = frame_of[page(start.start_info)] {
            self.write_start_info(&start, info);
        }
        self.domain_mut(domain).start = start;
    }
}
