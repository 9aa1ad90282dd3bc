// SPDX-License-Identifier: GPL-2.0-only

//! The toolstack's view of a p2m list while it changes, in both of its forms.

use crate::addr::Pfn;
use crate::guest::Guest;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::properties::p2m_list::Map;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use xen_model::{
    shared_info,
    DomainId,
    ListView,
    ListWatch,
    Machine, //
};

/// Lists longer than this are not compared word by word between all units of work.
const SHORT: u64 = 16384;

/// Looks at the list between any two units of work of Xen, and before any store to `shared_info`.
pub(crate) struct Watch {
    domain: DomainId,
    touched: Rc<RefCell<BTreeSet<Pfn>>>,
    expected: Rc<RefCell<Map>>,
    live: Rc<RefCell<ListWatch>>,
}

impl Watch {
    /// Starts to look.
    pub(crate) fn begin(guest: &Guest, expected: Rc<RefCell<Map>>) -> Self {
        let domain = guest.host().domain;
        let watch = Self {
            domain,
            touched: Rc::default(),
            expected,
            live: Rc::new(RefCell::new(ListWatch::new(domain))),
        };
        let (touched, expected) = (watch.touched.clone(), watch.expected.clone());
        let live = watch.live.clone();
        let interloper = move |machine: &mut Machine, _: &xen_model::Site| {
            if let Err(error) = live.borrow_mut().look(machine) {
                panic!("in the middle of a change: {error:x?}");
            }
            let is_short = word(machine, domain, shared_info::MAX_PFN) <= SHORT;
            if is_short && word(machine, domain, shared_info::P2M_GENERATION) % 2 == 0 {
                check_views(machine, domain, &expected.borrow(), &touched.borrow());
            }
        };
        let live = watch.live.clone();
        let watcher = move |machine: &mut Machine| {
            if let Err(error) = live.borrow_mut().look(machine) {
                panic!("beside a store to shared_info: {error:x?}");
            }
        };
        let mut machine = guest.host().machine.borrow_mut();
        machine.set_interloper(Some(Box::new(interloper)));
        machine.set_watcher(Some(Box::new(watcher)));
        drop(machine);
        watch
    }

    /// Accepts the old or the new word of `pfn` until the next [`Self::look`].
    pub(crate) fn allow(&self, pfn: Pfn) {
        self.touched.borrow_mut().insert(pfn);
    }

    /// Looks at everything.
    pub(crate) fn look(&self, guest: &Guest) {
        let mut machine = guest.host().machine.borrow_mut();
        assert_eq!(self.live.borrow_mut().look(&machine), Ok(()));
        self.touched.borrow_mut().clear();
        check_views(
            &mut machine,
            self.domain,
            &self.expected.borrow(),
            &BTreeSet::new(),
        );
    }

    /// Stops looking.
    pub(crate) fn end(self, guest: &Guest) {
        let mut machine = guest.host().machine.borrow_mut();
        machine.set_interloper(None);
        machine.set_watcher(None);
    }
}

fn word(machine: &Machine, domain: DomainId, index: usize) -> u64 {
    machine.frame_word(machine.shared_info(domain), index)
}

fn read(machine: &Machine, domain: DomainId) -> ListView {
    match machine.read_list(domain) {
        Ok(view) => view,
        Err(error) => panic!("the toolstack cannot read the list: {error:x?}"),
    }
}

/// Compares both forms of the list with `expected`, except for `touched`.
fn check_views(machine: &mut Machine, domain: DomainId, expected: &Map, touched: &BTreeSet<Pfn>) {
    let linear = read(machine, domain);
    let root = word(machine, domain, shared_info::P2M_CR3);
    machine.set_shared_word(domain, shared_info::P2M_CR3, 0);
    let tree = read(machine, domain);
    machine.set_shared_word(domain, shared_info::P2M_CR3, root);

    for (form, view) in [("linear list", linear), ("tree", tree)] {
        for (pfn, &word) in view.words.iter().enumerate() {
            let seen = P2mWord::from_raw(word as usize).decode();
            let pfn = Pfn::new(pfn);
            let expected = expected.get(pfn);
            let is_right = match (seen, expected) {
                // To the toolstack, a shared page of identity frames is the same as one of missing
                // frames.
                (P2mEntry::Missing, P2mEntry::Identity) => true,
                (seen, expected) => seen == expected,
            };
            assert!(
                is_right || touched.contains(&pfn),
                "the {form} has {seen:x?} for {pfn:x?}, not {expected:x?}"
            );
        }
        // There are no frames beyond what is published.
        let mut behind = expected.changed_behind(Pfn::new(view.words.len()));
        let has_frames = behind.any(|(pfn, entry)| {
            let has_frame = matches!(entry, P2mEntry::Local(_) | P2mEntry::Foreign(_));
            has_frame && !touched.contains(&pfn)
        });
        assert!(!has_frames, "the {form} ends before the last frame");
    }
}
