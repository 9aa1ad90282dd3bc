// SPDX-License-Identifier: GPL-2.0-only

//! A guest whose p2m list changes, and the plain map that the list must agree with.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::entry::MachineEntry;
use crate::guest::{
    boot_with,
    Guest,
    GuestConfig, //
};
use crate::level::{
    Index,
    Level, //
};
use crate::p2m;
use crate::p2m::shared::Shared;
use crate::p2m::{
    grow,
    layout,
    list, //
};
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::early::start_of_day::{
    SharedP2m,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::machine::host::Host;
use crate::platform::machine::memory::{
    load,
    store_page, //
};
use crate::platform::paging::entry_ptr;
use crate::platform::paging::pages::{
    self,
    OwnedPage, //
};
use crate::platform::paging::table::Table;
use crate::platform::xen::abi::VaFlush;
use crate::platform::xen::hypercall;
use crate::platform::xen::machine_map::{
    self,
    xen_max_p2m_pfn, //
};
use crate::properties::toolstack_view::Watch;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use xen_model::{
    Call,
    Errno, //
};

/// Pages that the domain may have beyond those at start of day.
const ROOM: u64 = 600;

/// Pages without frames: those of a page of the list.
const HOLE: Range<usize> = layout::FRAMES_PER_LEAF..2 * layout::FRAMES_PER_LEAF;

/// A change of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    /// `p2m::grow::set()`: the list grows if it must.
    Set(Place, Kind),
    /// `p2m::try_set()`: the list does not grow.
    TrySet(Place, Kind),
    /// `grow::grow()`.
    Grow(Place),
    /// A page of memory is given back to Xen.
    BalloonOut,
    /// A page that was given back gets another frame.
    BalloonIn,
    /// Memory is added where there was none at start of day, or removed there again.
    Hotplug(Place),
    /// The tree of frame lists is rebuilt, as after a resume.
    Refresh,
    /// The allocation of this number, from 0, fails during the next operation.
    Shortage(u8),
    /// Xen refuses the change of an entry of this number, from 0, during the next operation.
    Refusal(u8),
}

/// The new value of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Foreign(u16),
    Identity,
    Missing,
}

/// A border of the list, near which the operations happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Border {
    Begin,
    EndOfMemory,
    EndOfPages,
    EndOfTable,
    EndOfList,
}

impl Border {
    pub(crate) const ALL: [Self; 5] = [
        Self::EndOfMemory,
        Self::EndOfPages,
        Self::EndOfTable,
        Self::EndOfList,
        Self::Begin,
    ];
}

/// A frame, as its distance from a border; negative if it lies before the border.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(pub(crate) Border, pub(crate) i16);

impl Place {
    /// Returns the frame.
    pub(crate) fn pfn(self) -> Pfn {
        let border = match self.0 {
            Border::Begin => 0,
            Border::EndOfMemory => StartInfo::nr_pages(),
            Border::EndOfPages => list::with_list(CallContext::here(), |list| list.last_frame),
            Border::EndOfTable => layout::FRAMES_PER_MIDDLE,
            Border::EndOfList => xen_max_p2m_pfn.get(),
        };
        Pfn::new(border.saturating_add_signed(self.1.into()))
    }
}

/// The expected contents of a list.
pub(crate) struct Map {
    /// The frames of the pages of start of day.
    frames: Vec<Mfn>,
    /// Changes since then.
    changed: BTreeMap<Pfn, P2mEntry>,
}

impl Map {
    /// Returns the expected word of `pfn`.
    pub(crate) fn get(&self, pfn: Pfn) -> P2mEntry {
        let at_first = || match self.frames.get(pfn.raw()) {
            Some(mfn) => P2mEntry::Local(*mfn),
            None if pfn.raw() < layout::round_to_leaves(self.frames.len()) => P2mEntry::Missing,
            None => P2mEntry::Identity,
        };
        self.changed.get(&pfn).copied().unwrap_or_else(at_first)
    }

    /// Returns the frames from `start` on that were changed since start of day.
    pub(crate) fn changed_behind(&self, start: Pfn) -> impl Iterator<Item = (Pfn, P2mEntry)> + '_ {
        self.changed
            .range(start..)
            .map(|(pfn, entry)| (*pfn, *entry))
    }

    fn set(&mut self, pfn: Pfn, entry: P2mEntry) {
        self.changed.insert(pfn, entry);
    }
}

/// Removes pages before the kernel looks at them: the toolstack builds some domains with holes in
/// memory.
fn make_hole(host: &Host) {
    let first = Pfn::new(HOLE.start);
    host.pool.borrow_mut().reserve(first, HOLE.len());
    for pfn in HOLE.map(Pfn::new) {
        let Some(mfn) = p2m::mfn_of(pfn) else {
            panic!("{pfn:x?} has no frame");
        };
        assert!(p2m::try_set(pfn, P2mWord::MISSING));
        let mut machine = host.machine.borrow_mut();
        let done = machine.decrease_reservation(host.vcpu(), &[mfn.raw() as u64], 0);
        assert_eq!(done, 1);
    }
}

/// A guest, and the expected contents of its list.
pub(crate) struct List {
    guest: Guest,
    expected: Rc<RefCell<Map>>,
    watch: Watch,
    /// Pages of start of day that have no frame at present.
    given_back: Vec<Pfn>,
    /// Pages beyond those of start of day that have a frame.
    added: Vec<Pfn>,
    shortage: Option<u8>,
    refusal: Option<u8>,
    /// Free pages, and pages that the list occupies, at the beginning.
    before: (usize, usize),
}

impl List {
    /// Boots a guest. A large one has a hole in its memory, unless the toolstack put its list
    /// there.
    pub(crate) fn boot(mut config: GuestConfig) -> Self {
        config.domain.max_pages = config.domain.nr_pages + ROOM;
        let sizes = HOLE.end + layout::FRAMES_PER_LEAF..1 << 17;
        let has_hole = sizes.contains(&(config.domain.nr_pages as usize));
        let guest = if has_hole {
            let guest = Guest::build(config);
            boot_with(guest.host(), || make_hole(guest.host()));
            guest
        } else {
            Guest::boot(config)
        };
        let frames = {
            let machine = guest.host().machine.borrow();
            let start = machine.start_of_day(guest.host().domain);
            let frames = start.frames.iter().map(|mfn| Mfn::new(mfn.0 as usize));
            frames.collect()
        };
        let hole = HOLE.filter(|_| has_hole);
        let changed = hole.map(|pfn| (Pfn::new(pfn), P2mEntry::Missing)).collect();
        let expected = Rc::new(RefCell::new(Map { frames, changed }));
        let watch = Watch::begin(&guest, Rc::clone(&expected));
        let before = (guest.snapshot().nr_free, nr_own_pages());
        Self {
            guest,
            expected,
            watch,
            given_back: Vec::new(),
            added: Vec::new(),
            shortage: None,
            refusal: None,
            before,
        }
    }

    /// Returns the guest.
    pub(crate) fn guest(&self) -> &Guest {
        &self.guest
    }

    /// From now on the word of `pfn` may be `entry`; at the end of the operation it must be.
    pub(crate) fn expect(&mut self, pfn: Pfn, entry: P2mEntry) {
        self.watch.allow(pfn);
        self.expected.borrow_mut().set(pfn, entry);
    }

    /// Returns the expected word of `pfn`.
    pub(crate) fn expected(&self, pfn: Pfn) -> P2mEntry {
        self.expected.borrow().get(pfn)
    }

    /// Carries out an operation, and checks its result and its effects.
    pub(crate) fn apply(&mut self, operation: Operation) {
        let touched = match operation {
            Operation::Shortage(number) => {
                self.shortage = Some(number);
                return;
            }
            Operation::Refusal(number) => {
                self.refusal = Some(number);
                return;
            }
            Operation::Set(place, kind) => self.set(place.pfn(), kind, true),
            Operation::TrySet(place, kind) => self.set(place.pfn(), kind, false),
            Operation::Grow(place) => self.grow(place.pfn()),
            Operation::BalloonOut => self.balloon_out(),
            Operation::BalloonIn => self.balloon_in(),
            Operation::Hotplug(place) => self.hotplug(place.pfn()),
            Operation::Refresh => {
                p2m::list::refresh_tree(CallContext::here());
                Pfn::new(0)
            }
        };
        self.disarm();
        self.check_near(touched);
        self.watch.look(&self.guest);
    }

    /// Sets up the requested failure of the next operation; returns whether there is one.
    fn arm(&mut self, touched: Pfn) -> bool {
        self.watch.allow(touched);
        let host = self.guest.host();
        let nth = |number: u8| {
            let mut left = i32::from(number);
            move || {
                left -= 1;
                left == -1
            }
        };
        if let Some(number) = self.shortage {
            let shortage = nth(number);
            host.pool
                .borrow_mut()
                .set_shortage(Some(Box::new(shortage)));
        }
        if let Some(number) = self.refusal {
            let mut is_nth = nth(number);
            let injector = move |site: &xen_model::Site| {
                (site.call == Call::MmuUpdate && is_nth()).then_some(Errno::EBUSY)
            };
            host.machine
                .borrow_mut()
                .set_injector(Some(Box::new(injector)));
        }
        self.shortage.is_some() || self.refusal.is_some()
    }

    fn disarm(&mut self) {
        let host = self.guest.host();
        host.pool.borrow_mut().set_shortage(None);
        host.machine.borrow_mut().set_injector(None);
        if self.refusal.take().is_some() {
            self.guest.take_refusals();
        }
        self.shortage = None;
    }

    /// Whether `pfn` has a frame that would be lost if its word changed.
    fn is_in_use(&self, pfn: Pfn) -> bool {
        matches!(self.expected(pfn), P2mEntry::Local(_))
    }

    fn set(&mut self, pfn: Pfn, kind: Kind, may_grow: bool) -> Pfn {
        let entry = match kind {
            _ if self.is_in_use(pfn) => self.expected(pfn),
            Kind::Foreign(number) => P2mEntry::Foreign(Mfn::new(number.into())),
            Kind::Identity => P2mEntry::Identity,
            Kind::Missing => P2mEntry::Missing,
        };
        let is_beyond = pfn.raw() >= xen_max_p2m_pfn.get();
        let may_fail = self.arm(pfn);
        let was_shared = !is_beyond && shared_leaf(pfn).is_some();
        let word = P2mWord::encode(pfn, entry);
        let is_set = if may_grow {
            p2m::grow::set(pfn, word, &mut MaySleep::here()).is_ok()
        } else {
            p2m::try_set(pfn, word)
        };

        if is_beyond {
            assert_eq!(
                is_set,
                entry == P2mEntry::Missing,
                "{pfn:x?} beyond the list"
            );
        } else if was_shared && !may_grow {
            assert_eq!(
                is_set,
                entry == self.expected(pfn),
                "{pfn:x?} in a shared page"
            );
        } else {
            assert!(is_set || may_fail, "{pfn:x?} cannot be set to {entry:x?}");
        }
        if is_set && !is_beyond {
            self.expected.borrow_mut().set(pfn, entry);
        }
        pfn
    }

    fn grow(&mut self, pfn: Pfn) -> Pfn {
        let may_fail = self.arm(pfn);
        let is_beyond = pfn.raw() >= xen_max_p2m_pfn.get();
        let has_grown = grow::grow(pfn, &mut MaySleep::here()).is_ok();
        assert!(has_grown || may_fail || is_beyond);
        assert!(!(has_grown && is_beyond));
        if has_grown {
            assert_eq!(shared_leaf(pfn), None);
            assert!(list::with_list(CallContext::here(), |list| list.last_frame) > pfn.raw());
        }
        pfn
    }

    /// Gives a page back as the balloon driver does.
    fn balloon_out(&mut self) -> Pfn {
        let Some(page) = OwnedPage::new(&mut MaySleep::here()) else {
            return Pfn::new(0);
        };
        let pfn = page.leak().pfn();
        let P2mEntry::Local(mfn) = self.expected(pfn) else {
            panic!("{pfn:x?} was free without a frame");
        };
        self.watch.allow(pfn);
        let unmapped = hypercall::update_va_mapping(
            address::pfn_to_virt(pfn),
            MachineEntry::EMPTY,
            VaFlush::All,
        );
        assert_eq!(unmapped, Ok(()));
        assert!(p2m::try_set(pfn, P2mWord::MISSING));
        self.expected.borrow_mut().set(pfn, P2mEntry::Missing);
        self.give_frame_back(mfn);
        self.given_back.push(pfn);
        pfn
    }

    /// Takes a page back as the balloon driver does: it is in the direct map again.
    fn balloon_in(&mut self) -> Pfn {
        let Some(pfn) = self.given_back.pop() else {
            return Pfn::new(0);
        };
        // The word is in an own page of the list: nothing is allocated for it.
        let Some(mfn) = self.take_frame(pfn) else {
            self.given_back.push(pfn);
            return pfn;
        };
        let entry = MachineEntry::new(mfn, address::kernel_rw());
        assert_eq!(
            hypercall::update_va_mapping(address::pfn_to_virt(pfn), entry, VaFlush::None),
            Ok(())
        );
        store_page(address::pfn_to_virt(pfn), |index| pfn.raw() ^ index);
        assert_eq!(
            load(address::pfn_to_virt(pfn).add(8 * 511)),
            pfn.raw() ^ 511
        );
        pages::free_page(pfn);
        pfn
    }

    /// Adds a frame beyond memory, or removes it.
    fn hotplug(&mut self, pfn: Pfn) -> Pfn {
        if pfn.raw() < StartInfo::nr_pages() {
            return pfn;
        }
        if let Some(at) = self.added.iter().position(|added| *added == pfn) {
            let P2mEntry::Local(mfn) = self.expected(pfn) else {
                panic!("{pfn:x?} has lost its frame");
            };
            self.watch.allow(pfn);
            assert!(p2m::try_set(pfn, P2mWord::MISSING));
            self.expected.borrow_mut().set(pfn, P2mEntry::Missing);
            self.give_frame_back(mfn);
            self.added.swap_remove(at);
        } else if self.take_frame(pfn).is_some() {
            self.added.push(pfn);
        }
        pfn
    }

    /// Has Xen allocate a frame for `pfn`, and sets its word; gives the frame back if that fails.
    fn take_frame(&mut self, pfn: Pfn) -> Option<Mfn> {
        let may_fail = self.arm(pfn);
        let host = self.guest.host();
        let mut extent = [pfn.raw() as u64];
        let done = host
            .machine
            .borrow_mut()
            .populate_physmap(host.vcpu(), &mut extent, 0, 0);
        if done == 0 {
            return None;
        }
        let mfn = Mfn::new(extent[0] as usize);
        let entry = P2mEntry::Local(mfn);
        if p2m::grow::set(pfn, P2mWord::encode(pfn, entry), &mut MaySleep::here()).is_err() {
            assert!(may_fail || pfn.raw() >= xen_max_p2m_pfn.get());
            self.give_frame_back(mfn);
            return None;
        }
        self.expected.borrow_mut().set(pfn, entry);
        Some(mfn)
    }

    fn give_frame_back(&self, mfn: Mfn) {
        let host = self.guest.host();
        let mut machine = host.machine.borrow_mut();
        let done = machine.decrease_reservation(host.vcpu(), &[mfn.raw() as u64], 0);
        assert_eq!(done, 1, "Xen does not take {mfn:x?} back");
    }

    /// Checks the words near `pfn`, and which pages of the list are shared.
    fn check_near(&self, pfn: Pfn) {
        let first = pfn.raw().saturating_sub(2);
        let start = layout::leaf_start(pfn);
        let others = [start, start.add(511), start.add(512), Pfn::new(0)];
        for pfn in (first..first + 5).map(Pfn::new).chain(others) {
            self.check_word(pfn);
        }
        check_shared();
        assert_eq!(SharedP2m::generation() % 2, 0);
    }

    fn check_word(&self, pfn: Pfn) {
        let expected = self.expected(pfn);
        assert_eq!(p2m::word(pfn).decode(), expected, "{pfn:x?}");
        if let P2mEntry::Local(mfn) = expected {
            assert_eq!(p2m::pfn_of(mfn), Some(pfn));
        }
    }

    /// Checks the words of a page of the list.
    fn check_leaf(&self, start: Pfn) {
        self.check_word(start);
        if shared_leaf(start).is_none() {
            (1..layout::FRAMES_PER_LEAF).for_each(|word| self.check_word(start.add(word)));
            return;
        }
        // All words are alike, so those of the map must be too.
        let expected = self.expected(start);
        let map = self.expected.borrow();
        let end = start.add(layout::FRAMES_PER_LEAF);
        let mut changed = map.changed_behind(start).take_while(|(pfn, _)| *pfn < end);
        assert!(
            changed.all(|(_, entry)| entry == expected),
            "{start:x?} is shared"
        );
    }

    /// Checks the whole list, and that no page was lost.
    pub(crate) fn finish(mut self) {
        self.shortage = None;
        self.refusal = None;
        while !self.given_back.is_empty() {
            self.balloon_in();
        }
        self.watch.look(&self.guest);
        for start in (0..xen_max_p2m_pfn.get()).step_by(layout::FRAMES_PER_LEAF) {
            self.check_leaf(Pfn::new(start));
        }
        let after = (self.guest.snapshot().nr_free, nr_own_pages());
        assert_eq!(
            self.before.0 - after.0,
            after.1 - self.before.1,
            "pages are lost"
        );
        self.watch.end(&self.guest);
        self.guest.assert_sound();
    }
}

/// Returns which shared page the word of `pfn` lies in, if it does.
pub(crate) fn shared_leaf(pfn: Pfn) -> Option<Shared> {
    let (ptr, level) =
        crate::platform::paging::entry_ptr::lookup_address(machine_map::p2m_word_address(pfn))?;
    assert_eq!(level, Level::L1, "the list is mapped by a large page");
    Shared::of_leaf(ptr)
}

/// Counts the own pages of the list: of words, of entries, and of the tree.
fn nr_own_pages() -> usize {
    let middles = (0..xen_max_p2m_pfn.get()).step_by(layout::FRAMES_PER_MIDDLE);
    let of_middle = |start: usize| {
        let start = Pfn::new(start);
        let lacks_middle = list::with_list(CallContext::here(), |list| {
            let tree = list.tree.as_ref();
            tree.is_none_or(|tree| tree.lacks_middle(start))
        });
        let has_table = match entry_ptr::lookup_level2(machine_map::p2m_word_address(start)) {
            Some(ptr) => {
                let table = Table::below(ptr.read());
                table.is_some_and(|table| Shared::of_table(table).is_none())
            }
            None => panic!("the list is not mapped at {start:x?}"),
        };
        let leaves = (0..layout::FRAMES_PER_MIDDLE)
            .step_by(layout::FRAMES_PER_LEAF)
            .filter(|leaf| has_table && shared_leaf(start.add(*leaf)).is_none());
        usize::from(!lacks_middle) + usize::from(has_table) + leaves.count()
    };
    middles.map(of_middle).sum()
}

/// Panics unless the shared pages and tables still have their initial contents.
pub(crate) fn check_shared() {
    for shared in [Shared::Missing, Shared::Identity] {
        let (Some(page), Some(table)) = (shared.page(), shared.table()) else {
            panic!("there is no {shared:?} page");
        };
        let first = table.entry(Index::FIRST).read();
        for index in Index::all() {
            assert_eq!(
                page.entry(index).read().raw(),
                usize::MAX,
                "{shared:?} page"
            );
            assert_eq!(
                table.entry(index).read().mfn(),
                first.mfn(),
                "{shared:?} table"
            );
        }
        assert_eq!(Shared::of_leaf(table.entry(Index::FIRST)), Some(shared));
    }
}
