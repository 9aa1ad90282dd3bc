// SPDX-License-Identifier: GPL-2.0-only

//! Fast paths: what they do, and when they must not be taken.

use crate::addr::Vaddr;
use crate::entry::bits;
use crate::guest::{
    generic,
    ops,
    Access,
    Guest,
    GuestConfig,
    PAGE, //
};
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::context::IrqsOff;
use crate::platform::cpu::percpu::LOADED_CR3;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::host;
use crate::platform::paging::root::Root;
use crate::platform::xen::abi::ExtOp;
use crate::{
    multicall,
    tlb, //
};
use xen_model::Mfn;

const START: usize = 0x40_0000;

/// Changes the entry for [`START`] in `mm`, as generic code does; returns whether that entry
/// changed.
fn changes_its_own(mm: Mm) -> bool {
    let at = Vaddr::new(START);
    let ptr = generic::level1_entry(mm, at).unwrap();
    let new = ptr.read().with(bits::SPECIAL);
    ops::set_pte_at(mm, at, ptr, new);
    let is_set = ptr.read() == new;
    ops::set_pte_at(mm, at, ptr, new.without(bits::SPECIAL));
    is_set
}

#[test]
fn entries_are_set_in_the_right_tables() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let mut parent = guest.spawn();
    parent.map(START, 2, Access::Write);
    parent.write(START, 7);
    let child = parent.fork();

    // The same address is mapped in both; only one is loaded.
    parent.run();
    assert!(changes_its_own(parent.mm()));
    assert!(changes_its_own(child.mm()));
    child.run();
    assert!(changes_its_own(parent.mm()));
    assert!(changes_its_own(child.mm()));

    parent.run();
    child.exit();
    parent.exit();
    guest.assert_sound();
}

#[test]
fn entries_are_set_after_queued_changes() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let mut process = guest.spawn();
    process.map(START, 1, Access::Write);
    process.write(START, 7);
    let at = Vaddr::new(START);
    let ptr = generic::level1_entry(process.mm(), at).unwrap();
    let before = ptr.read();
    let (queued, last) = (before.with(bits::UFFD_WP), before.with(bits::SPECIAL));

    ops::in_lazy_mmu(|| {
        ops::set_pte_at(process.mm(), at, ptr, queued);
        ops::set_pte_at(process.mm(), at, ptr, last);
    });
    assert_eq!(ptr.read(), last);
    // As an interrupt handler does, which is never in lazy MMU mode.
    ops::in_lazy_mmu(|| {
        ops::set_pte_at(process.mm(), at, ptr, queued);
        let lazy = host().with_state(|state| std::mem::take(&mut state.lazy_mmu));
        ops::set_pte_at(process.mm(), at, ptr, last);
        host().with_state(|state| state.lazy_mmu = lazy);
    });
    assert_eq!(ptr.read(), last);

    ops::set_pte_at(process.mm(), at, ptr, before);
    process.exit();
    guest.assert_sound();
}

#[test]
fn runs_of_entries_hold_neighbouring_frames() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let mut process = guest.spawn();
    process.map(START, 4, Access::Write);
    for page in 0..4 {
        process.write(START + page * PAGE, page as u64);
    }
    let ptr = generic::level1_entry(process.mm(), Vaddr::new(START)).unwrap();
    let index = ptr.index();
    let ptrs: Vec<_> = (index.and_behind().take(4))
        .map(|index| ptr.table().entry(index))
        .collect();
    let before: Vec<_> = ptrs.iter().map(|ptr| ptr.read()).collect();
    let first = p2m::pfn_of(before[0].mfn()).unwrap();

    // Read-only, as the frames may be anything.
    let entry = before[0].without(bits::RW);
    ops::set_run(process.mm(), Vaddr::new(START), ptr, 4, entry);
    for (page, ptr) in ptrs.iter().enumerate() {
        let pfn = p2m::pfn_of(ptr.read().mfn());
        assert_eq!(pfn.map(|pfn| pfn.raw()), Some(first.raw() + page));
    }
    for (ptr, entry) in ptrs.iter().zip(before) {
        ops::set_pte(*ptr, entry);
    }
    tlb::flush_all(CallContext::here());
    process.exit();
    guest.assert_sound();
}

/// The root that Xen has loaded for the running CPU.
fn loaded_root() -> Option<Mfn> {
    let host = host();
    let machine = host.machine.borrow();
    machine.root(host.vcpu())
}

fn mfn_of(root: Root) -> Mfn {
    Mfn(p2m::mfn_of(root.table().pfn()).unwrap().raw() as u64)
}

#[test]
fn roots_are_loaded_after_queued_changes() {
    let guest = Guest::boot(GuestConfig::dom0(4000));
    let (first, second) = (guest.spawn(), guest.spawn());
    first.run();
    let roots = [first.mm().root(), second.mm().root()];

    let irqs = IrqsOff::new();
    host().with_state(|state| state.lazy_cpu = true);
    // Another load of a root waits in the queue.
    let earlier = p2m::mfn_of(roots[0].table().pfn()).unwrap();
    Batch::open(Issue::LazyCpu, CallContext::here()).ext(ExtOp::new_kernel_root(earlier));
    ops::write_cr3(roots[1]);
    multicall::flush();
    host().with_state(|state| state.lazy_cpu = false);
    assert_eq!(loaded_root(), Some(mfn_of(roots[1])));
    assert_eq!(LOADED_CR3.read(), roots[1].table().pfn().paddr().raw());

    // If the queue is empty, the root is loaded at once, even before the end of the switch.
    host().with_state(|state| state.lazy_cpu = true);
    ops::write_cr3(roots[0]);
    host().with_state(|state| state.lazy_cpu = false);
    assert!(multicall::is_queue_empty());
    assert_eq!(loaded_root(), Some(mfn_of(roots[0])));
    assert_eq!(LOADED_CR3.read(), roots[0].table().pfn().paddr().raw());
    drop(irqs);

    first.exit();
    second.exit();
    guest.assert_sound();
}
