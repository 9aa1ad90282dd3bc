// SPDX-License-Identifier: GPL-2.0-only

//! Frames of another domain in a process, as `privcmd` maps them.

use crate::addr::{
    Mfn,
    Vaddr, //
};
use crate::entry::{
    bits,
    MachineEntry,
    Protection, //
};
use crate::guest::{
    generic,
    ops,
    Access,
    Guest,
    GuestConfig,
    Process,
    PAGE, //
};
use crate::level::Level;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::kernel::error::KernelError;
use crate::platform::kernel::frame_list::FrameList;
use crate::platform::kernel::mm::Vma;
use crate::platform::xen::abi::{
    Command,
    DomId, //
};
use crate::remap::{
    self,
    Frames,
    Mapping, //
};
use std::ops::Range;
use xen_model::{
    Call,
    DomainConfig,
    DomainId,
    Errno,
    Machine, //
};

/// Unused frames of the other domain: more than fit into two hypercalls.
const COUNT: usize = 40;

/// The address of the mapping, which is across two tables of level 1.
const START: usize = (512 - 10) * PAGE;

/// A process of a dom0, and another domain whose frames it maps.
struct Fixture {
    guest: Guest,
    process: Process,
    other: DomainId,
    frames: Vec<Mfn>,
}

impl Fixture {
    fn new() -> Self {
        let guest = Guest::boot(GuestConfig::dom0(3000));
        let config = DomainConfig::domu(600).compact();
        let (other, frames) = {
            let mut machine = guest.host().machine.borrow_mut();
            let other = machine.create_domain(config).unwrap();
            let first = frames_in_a_row(&mut machine, other);
            let frames: Vec<_> = (first..).map(xen_model::Mfn).take(COUNT).collect();
            for (number, mfn) in frames.iter().enumerate() {
                machine.set_frame_word(*mfn, 0, contents(number));
            }
            (other, frames)
        };
        let mut process = guest.spawn();
        process.map(START, COUNT, Access::Write);
        Self {
            guest,
            process,
            other,
            frames: frames.iter().map(|mfn| Mfn::new(mfn.0 as usize)).collect(),
        }
    }

    fn map(&self, count: usize, frames: &Frames<'_>) -> Result<usize, KernelError> {
        self.map_of(self.other.0.into(), count, frames)
    }

    /// The same, for a domain number with extra upper bits from C.
    fn map_of(&self, domid: u32, count: usize, frames: &Frames<'_>) -> Result<usize, KernelError> {
        let flags = bits::PRESENT | bits::RW | bits::USER | bits::ACCESSED | bits::NX;
        let mapping = Mapping {
            protection: Protection::from_raw(flags),
            domid: DomId::from_raw(domid),
            command: Command::Normal,
        };
        let vma = Vma::new(self.process.mm());
        remap::map(
            vma,
            Vaddr::new(START),
            count,
            frames,
            mapping,
            &mut MaySleep::here(),
        )
    }

    /// Maps the frames of `list`; returns how many were mapped, and the result of each.
    fn map_listed(&self, list: &[Mfn]) -> (Result<usize, i32>, Vec<i32>) {
        const UNTOUCHED: i32 = 0x5a5a;

        let words: Vec<usize> = list.iter().map(|mfn| mfn.raw()).collect();
        let mut results = vec![UNTOUCHED; list.len()];
        // SAFETY: Both arrays have that many elements, and live until the list is gone.
        let list = unsafe { FrameList::new(words.as_ptr(), results.as_mut_ptr(), words.len()) };
        let mapped = self.map(words.len(), &Frames::Listed(&list));
        (mapped.map_err(KernelError::errno), results)
    }

    fn entry(&self, page: usize) -> MachineEntry {
        let at = Vaddr::new(START + page * PAGE);
        match generic::find(self.process.mm(), Level::L1, at) {
            Some(ptr) => ptr.read(),
            None => MachineEntry::EMPTY,
        }
    }

    /// Checks that the pages of a range map the frames from there on.
    #[track_caller]
    fn assert_mapped(&mut self, pages: Range<usize>) {
        for page in pages {
            let entry = self.entry(page);
            assert_eq!(entry.mfn(), self.frames[page], "page {page}");
            let flags = bits::PRESENT | bits::RW | bits::SPECIAL | bits::NX;
            assert_eq!(entry.raw() & flags, flags, "page {page}");
            assert_eq!(self.process.read(START + page * PAGE), contents(page));
        }
    }

    #[track_caller]
    fn assert_empty(&self, pages: Range<usize>) {
        for page in pages {
            assert!(self.entry(page).is_none(), "page {page}");
        }
    }

    /// Asserts that each page of a list is mapped, or is empty and has its error.
    #[track_caller]
    fn assert_listed(&mut self, results: &[i32], refused: &[usize], error: Errno) {
        for (page, result) in results.iter().enumerate() {
            if refused.contains(&page) {
                assert_eq!(*result, -error.0, "page {page}");
                self.assert_empty(page..page + 1);
            } else {
                assert_eq!(*result, 0, "page {page}");
                self.assert_mapped(page..page + 1);
            }
        }
    }

    /// Has Xen refuse changes of the entries of these pages.
    ///
    /// Each of them is tried once, in order.
    fn refuse(&self, pages: &'static [usize], error: Errno) {
        // The tables are allocated now, so that only entries change later.
        for page in 0..COUNT {
            let at = Vaddr::new(START + page * PAGE);
            assert!(generic::level1_entry(self.process.mm(), at).is_some());
        }
        let mut tried = 0;
        let mut machine = self.guest.host().machine.borrow_mut();
        machine.set_injector(Some(Box::new(move |site| {
            if site.call != Call::MmuUpdate {
                return None;
            }
            tried += 1;
            pages.contains(&(tried - 1)).then_some(error)
        })));
    }

    fn end(self) {
        let machine = &self.guest.host().machine;
        machine.borrow_mut().set_injector(None);
        for page in 0..COUNT {
            let at = Vaddr::new(START + page * PAGE);
            if let Some(ptr) = generic::find(self.process.mm(), Level::L1, at) {
                ops::set_pte(ptr, MachineEntry::EMPTY);
            }
        }
        self.process.exit();
        self.guest.assert_sound();
    }
}

/// Allocates contiguous frames to the domain; returns the first.
fn frames_in_a_row(machine: &mut Machine, domain: DomainId) -> u64 {
    const ORDER: u32 = 6;

    let given: Vec<_> = machine.start_of_day(domain).frames[500..500 + (1 << ORDER)]
        .iter()
        .map(|mfn| mfn.0)
        .collect();
    let mut extent = [500];
    let outcome = machine.exchange(domain.vcpu(0), (&given, 0), (&mut extent, ORDER), 0);
    assert_eq!(outcome.result, Ok(()));
    extent[0]
}

fn contents(number: usize) -> u64 {
    0x7000 + number as u64
}

#[test]
fn only_the_lower_half_of_a_number_names_the_domain() {
    let mut fixture = Fixture::new();
    // To Xen, the upper half names the owner of the tables: domain 0 and domain 0x1234.
    for upper in [1, 0x1235] {
        let domid = (upper << 16) | u32::from(fixture.other.0);
        let frames = Frames::Contiguous(fixture.frames[0]);
        assert!(matches!(fixture.map_of(domid, COUNT, &frames), Ok(COUNT)));
        fixture.assert_mapped(0..COUNT);
    }
    fixture.end();
}

#[test]
fn frames_in_a_row_are_mapped() {
    // Exactly one hypercall, one frame more, and more than two hypercalls.
    for count in [1, 16, 17, COUNT] {
        let mut fixture = Fixture::new();
        let first = fixture.frames[0];
        assert_eq!(fixture.map(count, &Frames::Contiguous(first)), Ok(count));
        fixture.assert_mapped(0..count);
        fixture.assert_empty(count..COUNT);
        fixture.end();
    }
}

#[test]
fn the_first_refusal_ends_a_row() {
    for (refused, error) in [(0, Errno::ENOMEM), (20, Errno::EINVAL)] {
        let mut fixture = Fixture::new();
        let pages: &[usize] = if refused == 0 { &[0] } else { &[20] };
        fixture.refuse(pages, error);
        let result = fixture.map(COUNT, &Frames::Contiguous(fixture.frames[0]));
        assert_eq!(result.map_err(KernelError::errno), Err(-error.0));
        fixture.assert_mapped(0..refused);
        fixture.assert_empty(refused..COUNT);
        fixture.end();
    }
}

#[test]
fn frames_of_a_list_are_mapped_in_its_order() {
    let mut fixture = Fixture::new();
    let list: Vec<_> = fixture.frames.iter().rev().copied().collect();
    let (mapped, results) = fixture.map_listed(&list);
    assert_eq!((mapped, results), (Ok(COUNT), vec![0; COUNT]));
    fixture.frames = list;
    for page in 0..COUNT {
        assert_eq!(fixture.entry(page).mfn(), fixture.frames[page]);
        let word = fixture.process.read(START + page * PAGE);
        assert_eq!(word, contents(COUNT - 1 - page));
    }
    fixture.end();
}

#[test]
fn refused_frames_of_a_list_have_their_error() {
    const REFUSED: &[usize] = &[0, 5, 6, 15, 16, 38];

    let mut fixture = Fixture::new();
    fixture.refuse(REFUSED, Errno::EINVAL);
    let list = fixture.frames.clone();
    let (mapped, results) = fixture.map_listed(&list);
    assert_eq!(mapped, Ok(COUNT - REFUSED.len()));
    fixture.assert_listed(&results, REFUSED, Errno::EINVAL);
    fixture.end();
}

#[test]
fn the_refusal_of_the_last_frame_is_returned() {
    // The only frame, the last one in a batch of its own, the last one after others, and the last
    // one after another refusal.
    for (count, refused) in [(1, &[0][..]), (17, &[16]), (COUNT, &[39]), (16, &[0, 15])] {
        let mut fixture = Fixture::new();
        fixture.refuse(refused, Errno::ENOENT);
        let list = fixture.frames[..count].to_vec();
        let (mapped, results) = fixture.map_listed(&list);
        assert_eq!(mapped, Err(-Errno::ENOENT.0));
        fixture.assert_listed(&results, refused, Errno::ENOENT);
        fixture.end();
    }
}

#[test]
fn earlier_mappings_are_flushed() {
    let mut fixture = Fixture::new();
    assert_eq!(
        fixture.map(1, &Frames::Contiguous(fixture.frames[3])),
        Ok(1)
    );
    assert_eq!(fixture.process.read(START), contents(3));
    assert_eq!(
        fixture.map(1, &Frames::Contiguous(fixture.frames[0])),
        Ok(1)
    );
    assert_eq!(fixture.process.read(START), contents(0));
    fixture.end();
}

#[test]
fn a_lack_of_tables_ends_a_mapping() {
    let fixture = Fixture::new();
    let pool = &fixture.guest.host().pool;
    pool.borrow_mut().set_shortage(Some(Box::new(|| true)));
    let result = fixture.map(COUNT, &Frames::Contiguous(fixture.frames[0]));
    pool.borrow_mut().set_shortage(None);
    assert_eq!(result.map_err(KernelError::errno), Err(-Errno::ENOMEM.0));
    fixture.assert_empty(0..COUNT);
    fixture.end();
}
