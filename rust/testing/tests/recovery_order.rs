// SPDX-License-Identifier: GPL-2.0-only

//! The operations after a refused one in a batch: they are carried out in order, and reported if
//! they are refused as well.

use crate::addr::Maddr;
use crate::entry::{
    bits,
    MachineEntry, //
};
use crate::guest::{
    Guest,
    GuestConfig, //
};
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr;
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::{
    Command,
    ExtOp, //
};
use crate::pte;

const BY: CallContext<'_> = CallContext::in_test();

/// An address where no machine has memory.
const BAD: Maddr = Maddr::new(((1 << 40) - 1) << 12);

#[test]
fn refusals_that_are_all_reported_are_not_counted() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    {
        let mut batch = Batch::open(Issue::Now, BY);
        (0..8).for_each(|_| batch.update(Command::Normal, BAD, MachineEntry::EMPTY));
    }
    assert_eq!(guest.take_refusals().len(), 8);
    guest.assert_sound();
}

#[test]
fn an_update_that_is_late_does_not_undo_a_later_one() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
    let (at, entry) = (p2m::machine_address(ptr.vaddr()), ptr.read());
    {
        let mut batch = Batch::open(Issue::Now, BY);
        batch.update(Command::Normal, BAD, entry);
        // This one is carried out only once the refusal of the first is known, when all others are
        // done.
        batch.update(Command::Normal, at, entry.with(bits::UFFD_WP));
        batch.ext(ExtOp::flush_local());
        batch.update(Command::Normal, at, entry.with(bits::SPECIAL));
    }
    assert_eq!(ptr.read(), entry.with(bits::SPECIAL));
    assert_eq!(guest.take_refusals().len(), 1);
    pte::set_now(ptr, entry, BY);
    drop(page);
    guest.assert_sound();
}
