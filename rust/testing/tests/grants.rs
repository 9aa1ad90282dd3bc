// SPDX-License-Identifier: GPL-2.0-only

//! Frames of another domain, mapped by grants.

use crate::addr::{
    Mfn,
    Pfn, //
};
use crate::grant;
use crate::guest::{
    generic,
    Access,
    Guest,
    GuestConfig,
    Process,
    PAGE, //
};
use crate::level::Level;
use crate::p2m;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::kernel::address;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::memory::load;
use crate::platform::paging::entry_ptr::EntryPtr;
use crate::platform::xen::abi::INVALID_GRANT_HANDLE;
use crate::platform::xen::grants::{
    self,
    GrantPages,
    MapGrant,
    UnmapGrant,
    GRANT_GENERAL_ERROR,
    GRANT_OKAY, //
};
use xen_model::{
    gntmap,
    Call,
    DomainConfig,
    DomainId,
    Errno,
    Grant, //
};

/// Pages of the guest beyond its memory, in a part of the list that is no longer shared.
const PAGES: [Pfn; 3] = [Pfn::new(3001), Pfn::new(3002), Pfn::new(3003)];

/// A page whose part of the list is shared.
const SHARED: Pfn = Pfn::new(3600);

/// A guest, and another domain that has granted it frames.
struct Fixture {
    guest: Guest,
    other: DomainId,
    frames: Vec<Mfn>,
}

impl Fixture {
    fn new() -> Self {
        let guest = Guest::boot(GuestConfig::domu(3000));
        let other = {
            let mut machine = guest.host().machine.borrow_mut();
            machine
                .create_domain(DomainConfig::domu(600).compact())
                .unwrap()
        };
        let mut fixture = Self {
            guest,
            other,
            frames: Vec::new(),
        };
        for reference in 0..4 {
            fixture.grant(reference);
        }
        fixture
    }

    /// Has the other domain grant a frame that holds a unique number.
    fn grant(&mut self, reference: u32) {
        let host = self.guest.host();
        let mut machine = host.machine.borrow_mut();
        let mfn = machine.start_of_day(self.other).frames[500 + reference as usize];
        machine.set_frame_word(mfn, 0, contents(reference) as u64);
        let grant = Grant {
            to: host.domain,
            mfn,
            readonly: false,
        };
        machine.grant(self.other, reference, grant);
        self.frames.push(Mfn::new(mfn.0 as usize));
    }

    /// Returns the operation that maps a grant at a page of the direct map.
    fn for_kernel(&self, reference: u32, page: Pfn) -> MapGrant {
        self.operation(reference, address::pfn_to_virt(page).raw() as u64, 0)
    }

    /// Returns the operation that maps a grant with the entry at `ptr`.
    fn for_user(&self, reference: u32, ptr: EntryPtr) -> MapGrant {
        let at = p2m::machine_address(ptr.vaddr()).raw() as u64;
        self.operation(
            reference,
            at,
            gntmap::CONTAINS_PTE | gntmap::APPLICATION_MAP,
        )
    }

    fn operation(&self, reference: u32, host_addr: u64, flags: u32) -> MapGrant {
        MapGrant {
            host_addr,
            flags: gntmap::HOST_MAP | flags,
            reference,
            domain: self.other.0,
            ..MapGrant::default()
        }
    }

    fn foreign(&self, reference: u32) -> P2mEntry {
        P2mEntry::Foreign(self.frames[reference as usize])
    }

    /// Returns how many references Xen counts for a frame of the other domain.
    fn count(&self, reference: u32) -> u32 {
        let machine = self.guest.host().machine.borrow();
        let mfn = self.frames[reference as usize].raw() as u64;
        machine.frame(xen_model::Mfn(mfn)).count()
    }

    /// Has Xen refuse the `number`th operation of this kind from now on.
    fn refuse(&self, call: Call, mut number: u32) {
        let mut machine = self.guest.host().machine.borrow_mut();
        machine.set_injector(Some(Box::new(move |site| {
            if site.call != call {
                return None;
            }
            number = number.wrapping_sub(1);
            (number == u32::MAX).then_some(Errno::EINVAL)
        })));
    }
}

fn contents(reference: u32) -> usize {
    0x1000 + reference as usize
}

/// Removes the frame of the page, and prepares its entry for a grant.
fn prepare(page: Pfn) {
    assert!(p2m::grow::set(page, P2mWord::MISSING, &mut MaySleep::here()).is_ok());
    assert!(generic::level1_entry(Mm::kernel(), address::pfn_to_virt(page)).is_some());
}

fn unmapping(op: &MapGrant) -> UnmapGrant {
    UnmapGrant {
        host_addr: op.host_addr,
        dev_bus_addr: 0,
        handle: op.handle,
        status: GRANT_OKAY,
    }
}

#[test]
fn granted_frames_are_mapped_and_given_back() {
    let fixture = Fixture::new();
    PAGES.into_iter().for_each(prepare);
    let unused = fixture.count(0);

    let mut ops: Vec<_> = (0..3)
        .map(|reference| fixture.for_kernel(reference, PAGES[reference as usize]))
        .collect();
    assert_eq!(grants::map_grants(&mut ops), 0);
    assert_eq!(grant::map(&mut ops, None, &GrantPages::new(&PAGES)), 0);
    for (reference, page) in (0..).zip(PAGES) {
        assert_eq!(p2m::word(page).decode(), fixture.foreign(reference));
        assert_eq!(load(address::pfn_to_virt(page)), contents(reference));
        assert!(fixture.count(reference) > unused);
    }

    let mut unmaps: Vec<_> = ops.iter().map(unmapping).collect();
    assert_eq!(grants::unmap_grants(&mut unmaps), 0);
    assert!(unmaps.iter().all(|op| op.status == GRANT_OKAY));
    assert_eq!(grant::unmap(None, &GrantPages::new(&PAGES)), 0);
    for (reference, page) in (0..).zip(PAGES) {
        assert!(p2m::word(page).is_missing());
        assert_eq!(fixture.count(reference), unused);
    }
    fixture.guest.assert_sound();
}

#[test]
fn operations_beyond_the_pages_are_left_alone() {
    let fixture = Fixture::new();
    PAGES.into_iter().for_each(prepare);
    let mut ops = [0, 1].map(|reference| fixture.for_kernel(reference, PAGES[reference as usize]));
    assert_eq!(grants::map_grants(&mut ops), 0);
    assert_eq!(grant::map(&mut ops, None, &GrantPages::new(&PAGES[..1])), 0);
    assert_eq!(p2m::word(PAGES[0]).decode(), fixture.foreign(0));
    assert!(p2m::word(PAGES[1]).is_missing());
}

#[test]
fn a_grant_that_xen_refuses_is_not_recorded() {
    let fixture = Fixture::new();
    PAGES.into_iter().for_each(prepare);
    let mut ops = [0, 9, 2].map(|reference| fixture.for_kernel(reference, PAGES[0]));
    ops[1].host_addr = address::pfn_to_virt(PAGES[1]).raw() as u64;
    ops[2].host_addr = address::pfn_to_virt(PAGES[2]).raw() as u64;
    assert_eq!(grants::map_grants(&mut ops), 0);
    let refused = ops[1];
    assert_ne!(refused.status, GRANT_OKAY);
    assert_eq!(grant::map(&mut ops, None, &GrantPages::new(&PAGES)), 0);
    assert_eq!(p2m::word(PAGES[0]).decode(), fixture.foreign(0));
    assert!(p2m::word(PAGES[1]).is_missing());
    assert_eq!(p2m::word(PAGES[2]).decode(), fixture.foreign(2));
    assert_eq!(ops[1].status, refused.status);
    fixture.guest.assert_sound();
}

#[test]
fn a_frame_of_ones_own_that_is_covered_is_reported() {
    let fixture = Fixture::new();
    prepare(SHARED);
    let own = P2mWord::from_raw(0x77);
    assert!(p2m::grow::set(SHARED, own, &mut MaySleep::here()).is_ok());
    let mut ops = [fixture.for_kernel(0, SHARED)];
    assert_eq!(grants::map_grants(&mut ops), 0);
    assert_eq!(grant::map(&mut ops, None, &GrantPages::new(&[SHARED])), 0);
    let report = format!(
        "frame {:#x} gets a foreign frame but has one of its own",
        SHARED.raw()
    );
    assert_eq!(fixture.guest.complaints(), [report]);
    assert_eq!(p2m::word(SHARED).decode(), fixture.foreign(0));
}

/// Maps grant 0 at [`SHARED`]: the list does not grow, since the caller may be unable to sleep.
fn map_unprepared(fixture: &Fixture, flags: u32) -> MapGrant {
    assert!(generic::level1_entry(Mm::kernel(), address::pfn_to_virt(SHARED)).is_some());
    let mut ops = [fixture.for_kernel(0, SHARED)];
    ops[0].flags |= flags;
    assert_eq!(grants::map_grants(&mut ops), 0);
    assert_eq!(ops[0].status, GRANT_OKAY);
    let nr_free = fixture.guest.snapshot().nr_free;
    assert_eq!(grant::map(&mut ops, None, &GrantPages::new(&[SHARED])), 0);
    assert_eq!(fixture.guest.snapshot().nr_free, nr_free);
    ops[0]
}

#[test]
fn a_frame_that_cannot_be_noted_is_unmapped_again() {
    let fixture = Fixture::new();
    let unused = fixture.count(0);
    // With and without a mapping for devices.
    for flags in [0, gntmap::DEVICE_MAP] {
        let op = map_unprepared(&fixture, flags);
        assert_eq!(op.status, GRANT_GENERAL_ERROR);
        assert_eq!(op.handle, INVALID_GRANT_HANDLE);
        assert_eq!(fixture.count(0), unused);
        assert_eq!(p2m::word(SHARED).decode(), P2mEntry::Identity);
        // The page was an identity frame, and nothing else is reported.
        assert_eq!(fixture.guest.complaints().len(), 1);
    }
    fixture.guest.assert_sound();
}

#[test]
fn a_grant_that_stays_mapped_is_reported() {
    let fixture = Fixture::new();
    let unused = fixture.count(0);
    fixture.refuse(Call::GrantUnmap, 0);
    let op = map_unprepared(&fixture, 0);
    assert_eq!(op.status, GRANT_GENERAL_ERROR);
    assert!(fixture.count(0) > unused);
    let complaints = fixture.guest.complaints();
    assert_eq!(
        complaints.last().map(String::as_str),
        Some("a grant stays mapped: unmap returned 0, status Some(-1)")
    );
    assert_eq!(complaints.len(), 2);
}

/// A process that maps grant 0 by an entry of its own, and the kernel's mapping of it.
fn map_for_process(fixture: &Fixture, at: usize) -> (Process, EntryPtr, MapGrant, MapGrant) {
    let mut process = fixture.guest.spawn();
    process.map(at, 1, Access::Write);
    let ptr = generic::level1_entry(process.mm(), crate::addr::Vaddr::new(at)).unwrap();
    let user = fixture.for_user(0, ptr);
    (process, ptr, user, fixture.for_kernel(0, PAGES[0]))
}

#[test]
fn a_process_and_the_kernel_map_the_same_grant() {
    let fixture = Fixture::new();
    prepare(PAGES[0]);
    let unused = fixture.count(0);
    let (mut process, ptr, user, kernel) = map_for_process(&fixture, 4 * PAGE);

    let (mut users, mut kernels) = ([user], [kernel]);
    assert_eq!(grants::map_grants(&mut users), 0);
    let pages = GrantPages::new(&PAGES[..1]);
    assert_eq!(grant::map(&mut users, Some(&mut kernels), &pages), 0);
    assert_eq!(
        (users[0].status, kernels[0].status),
        (GRANT_OKAY, GRANT_OKAY)
    );
    assert_eq!(ptr.read().mfn(), fixture.frames[0]);
    assert_eq!(p2m::word(PAGES[0]).decode(), fixture.foreign(0));
    assert_eq!(process.read(4 * PAGE), contents(0) as u64);
    assert_eq!(load(address::pfn_to_virt(PAGES[0])), contents(0));

    let (mut user, mut kernel) = ([unmapping(&users[0])], [unmapping(&kernels[0])]);
    assert_eq!(grants::unmap_grants(&mut user), 0);
    assert_eq!(grant::unmap(Some(&mut kernel), &pages), 0);
    assert_eq!((user[0].status, kernel[0].status), (GRANT_OKAY, GRANT_OKAY));
    assert!(p2m::word(PAGES[0]).is_missing());
    assert_eq!(fixture.count(0), unused);
    assert!(generic::find(process.mm(), Level::L1, crate::addr::Vaddr::new(4 * PAGE)).is_some());
    process.exit();
    fixture.guest.assert_sound();
}

#[test]
fn an_entry_of_a_process_is_named_by_its_aligned_address() {
    let fixture = Fixture::new();
    // The first entry of a table, one in its middle, and the last.
    for page in [512, 700, 1023] {
        let (process, ptr, user, _) = map_for_process(&fixture, page * PAGE);
        let table = p2m::mfn_of(ptr.table().pfn()).unwrap();
        let address = table.raw() * PAGE + page % 512 * 8;
        assert_eq!(user.host_addr, address as u64);

        // Xen refuses an address that is not aligned.
        let mut users = [user, user];
        users[0].host_addr += 4;
        assert_eq!(grants::map_grants(&mut users), 0);
        assert_ne!(users[0].status, GRANT_OKAY);
        assert_eq!(users[1].status, GRANT_OKAY);
        assert_eq!(ptr.read().mfn(), fixture.frames[0]);
        let mut unmaps = [unmapping(&users[1])];
        assert_eq!(
            (grants::unmap_grants(&mut unmaps), unmaps[0].status),
            (0, GRANT_OKAY)
        );
        process.exit();
    }
    fixture.guest.assert_sound();
}

#[test]
fn a_grant_that_the_kernel_cannot_map_is_not_recorded() {
    let fixture = Fixture::new();
    prepare(PAGES[0]);
    let (process, ptr, user, kernel) = map_for_process(&fixture, 4 * PAGE);
    let (mut users, mut kernels) = ([user], [kernel]);
    assert_eq!(grants::map_grants(&mut users), 0);
    fixture.refuse(Call::GrantMap, 0);
    let pages = GrantPages::new(&PAGES[..1]);
    assert_eq!(grant::map(&mut users, Some(&mut kernels), &pages), 0);
    assert_ne!(kernels[0].status, GRANT_OKAY);
    assert!(p2m::word(PAGES[0]).is_missing());
    // The mapping of the process stays; the caller undoes it.
    assert_eq!(users[0].status, GRANT_OKAY);
    assert_eq!(ptr.read().mfn(), fixture.frames[0]);
    assert_eq!(grants::unmap_grants(&mut [unmapping(&users[0])]), 0);
    process.exit();
    fixture.guest.assert_sound();
}

#[test]
fn both_mappings_go_if_the_frame_cannot_be_noted() {
    let fixture = Fixture::new();
    let unused = fixture.count(0);
    assert!(generic::level1_entry(Mm::kernel(), address::pfn_to_virt(SHARED)).is_some());
    let (process, ptr, user, _) = map_for_process(&fixture, 4 * PAGE);
    let (mut users, mut kernels) = ([user], [fixture.for_kernel(0, SHARED)]);
    assert_eq!(grants::map_grants(&mut users), 0);
    let pages = [SHARED];
    assert_eq!(
        grant::map(&mut users, Some(&mut kernels), &GrantPages::new(&pages)),
        0
    );
    for op in [users[0], kernels[0]] {
        assert_eq!(
            (op.status, op.handle),
            (GRANT_GENERAL_ERROR, INVALID_GRANT_HANDLE)
        );
    }
    assert_eq!(fixture.count(0), unused);
    assert!(ptr.read().is_none());
    assert_eq!(fixture.guest.complaints().len(), 1);
    process.exit();
    fixture.guest.assert_sound();
}

#[test]
fn pages_without_a_foreign_frame_are_not_unmapped() {
    const EINVAL: i32 = -22;

    let fixture = Fixture::new();
    PAGES.into_iter().for_each(prepare);
    let mut ops = [fixture.for_kernel(0, PAGES[1])];
    assert_eq!(grants::map_grants(&mut ops), 0);
    let foreign = [PAGES[1]];
    assert_eq!(grant::map(&mut ops, None, &GrantPages::new(&foreign)), 0);
    let own = Pfn::new(20);
    let word = p2m::word(own);
    let pages = [PAGES[0], PAGES[1], own];
    let mut unmaps = [unmapping(&ops[0])];
    assert_eq!(
        grant::unmap(Some(&mut unmaps), &GrantPages::new(&pages)),
        EINVAL
    );
    // The others are unmapped nevertheless.
    assert_eq!(unmaps[0].status, GRANT_OKAY);
    assert!(p2m::word(PAGES[1]).is_missing());
    assert_eq!(p2m::word(own), word);
    fixture.guest.assert_sound();
}
