// SPDX-License-Identifier: GPL-2.0-only

//! The queue as C code uses it, which fills in calls itself, and work that waits for a flush.

use crate::entry::MachineEntry;
use crate::guest::{
    Guest,
    GuestConfig, //
};
use crate::multicall::{
    self,
    is_queue_empty,
    Batch,
    Issue,
    Space, //
};
use crate::p2m;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::cpu::context::IrqsOff;
use crate::platform::kernel::address;
use crate::platform::kernel::callback::Callback;
use crate::platform::paging::entry_ptr::{
    self,
    EntryPtr, //
};
use crate::platform::paging::pages::OwnedPage;
use crate::platform::xen::abi::{
    number,
    Command,
    ExtOp,
    MmuUpdate,
    DOMID_SELF, //
};
use crate::{
    pte,
    tlb, //
};
use std::cell::Cell;
use std::ffi::c_void;
use xen_model::Errno;

const BY: CallContext<'_> = CallContext::in_test();
const BYTES: usize = size_of::<MmuUpdate>();

thread_local! {
    static CALLED_WITH: Cell<usize> = const { Cell::new(0) };
}

extern "C" fn note(data: *mut c_void) {
    // Earlier calls in the queue have taken effect.
    assert!(is_queue_empty());
    CALLED_WITH.set(data as usize);
}

/// Fills in a call of `mmu_update` with `count` elements, of which `update` is the last.
fn fill(space: &Space, count: usize, update: MmuUpdate) {
    // SAFETY: The queue has returned the call, with space for one more element, and interrupts are
    // off.
    unsafe {
        if count == 1 {
            (*space.call).op = number::MMU_UPDATE;
            (*space.call).args = [space.args as usize, 1, 0, DOMID_SELF, 0, 0];
        } else {
            (*space.call).args[1] = count;
        }
        space.args.cast::<MmuUpdate>().write(update);
    }
}

fn update(ptr: EntryPtr, entry: MachineEntry) -> MmuUpdate {
    let at = p2m::machine_address(ptr.vaddr());
    MmuUpdate::new(Command::Normal, at, entry)
}

fn ptr_of(page: &OwnedPage) -> EntryPtr {
    entry_ptr::lookup_address(address::pfn_to_virt(page.pfn()))
        .unwrap()
        .0
}

#[test]
fn calls_that_c_fills_in_reach_xen() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    let pages = [(); 2].map(|()| OwnedPage::zeroed(&mut MaySleep::here()).unwrap());
    let ptrs = [ptr_of(&pages[0]), ptr_of(&pages[1])];
    let entries = ptrs.map(|ptr| ptr.read().with(1 << 10));
    {
        let _irqs = IrqsOff::new();
        assert!(multicall::extend_space(number::MMU_UPDATE, BYTES).is_none());
        let first = multicall::take_space(BYTES, BY).unwrap();
        fill(&first, 1, update(ptrs[0], entries[0]));
        assert!(multicall::extend_space(number::MMUEXT_OP, BYTES).is_none());
        let second = multicall::extend_space(number::MMU_UPDATE, BYTES).unwrap();
        assert_eq!(second.call, first.call);
        assert_eq!(second.args as usize, first.args as usize + BYTES);
        fill(&second, 2, update(ptrs[1], entries[1]));
        multicall::call_after(Callback::of_safe(note, 5 as *mut c_void));
        assert_ne!(ptrs[0].read(), entries[0]);
        assert_eq!(CALLED_WITH.get(), 0);
        multicall::flush();
    }
    assert_eq!(ptrs.map(EntryPtr::read), entries);
    assert_eq!(CALLED_WITH.get(), 5);
    drop(pages);
    guest.assert_sound();
}

#[test]
fn space_is_given_out_up_to_what_the_queue_holds() {
    const ALL: usize = 128 * BYTES;

    let guest = Guest::boot(GuestConfig::dom0(600));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (ptr, entry) = (ptr_of(&page), ptr_of(&page).read());
    {
        let _irqs = IrqsOff::new();
        assert!(multicall::take_space(ALL + 1, BY).is_none());
        let space = multicall::take_space(ALL, BY).unwrap();
        fill(&space, 1, update(ptr, entry.with(1 << 10)));
        // The queue is full, so it is flushed before the next call.
        assert!(multicall::extend_space(number::MMU_UPDATE, 1).is_none());
        assert_ne!(ptr.read(), entry.with(1 << 10));
        let space = multicall::take_space(1, BY).unwrap();
        assert_eq!(ptr.read(), entry.with(1 << 10));
        fill(&space, 1, update(ptr, entry));
        multicall::flush();
    }
    assert_eq!(ptr.read(), entry);
    drop(page);
    guest.assert_sound();
}

#[test]
fn a_refused_call_of_c_is_reported() {
    let guest = Guest::boot(GuestConfig::dom0(600));
    {
        let _irqs = IrqsOff::new();
        let space = multicall::take_space(0, BY).unwrap();
        // SAFETY: The queue has returned the call, and interrupts are off.
        unsafe {
            (*space.call).op = 63;
            (*space.call).args = [0x1234, 0, 0, 0, 0, 0];
        }
        multicall::flush();
    }
    let [report] = guest.take_refusals()[..] else {
        panic!("not one report");
    };
    assert_eq!((report.target, report.value), (63, 0x1234));
    assert_eq!(report.error, -(Errno::ENOSYS.0 as isize));
    assert_eq!(report.by, BY.site());
    guest.assert_sound();
}

#[test]
fn a_bitmap_of_many_cpus_fills_the_queue_to_the_last_byte() {
    // A bitmap of three words.
    const CPUS: u32 = 130;
    const UPDATES: usize = 128 - 3;

    let guest = Guest::boot(GuestConfig::dom0(600).with_cpus(CPUS));
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let at = address::pfn_to_virt(page.pfn());
    let ptr = ptr_of(&page);
    let entry = ptr.read();
    let is_seen = |cpu| {
        let host = guest.host();
        let mut machine = host.machine.borrow_mut();
        machine
            .read_u64(host.domain.vcpu(cpu), at.raw() as u64)
            .is_ok()
    };
    // All CPUs have the translation in their TLBs.
    assert!((0..CPUS).all(is_seen));
    let traps = || guest.host().machine.borrow().stats().world_entries;
    let before = traps();
    {
        let mut batch = Batch::open(Issue::Now, BY);
        for _ in 0..UPDATES {
            let at = p2m::machine_address(ptr.vaddr());
            batch.update(Command::Normal, at, MachineEntry::EMPTY);
        }
        // All CPUs but one, at each border of a word of the bitmap.
        let bitmap = [!0 << 1, !(1 << 63), 0b10];
        batch.ext_on_vcpus(ExtOp::flush_page_multi(at), bitmap.into_iter());
    }
    assert_eq!(traps(), before + 1);
    let seen: Vec<_> = (0..CPUS).filter(|cpu| is_seen(*cpu)).collect();
    assert_eq!(seen, [0, 127, 128]);
    pte::set_now(ptr, entry, BY);
    tlb::flush_all(BY);
    drop(page);
    guest.assert_sound();
}
