// SPDX-License-Identifier: GPL-2.0-only

//! What may wait in lazy MMU mode, and what is in effect on return.

use crate::addr::Vaddr;
use crate::entry::{
    bits,
    MachineEntry, //
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
use crate::level::{
    Index,
    Level, //
};
use crate::multicall::is_queue_empty;
use crate::platform::cpu::call_context::{
    CallContext,
    MaySleep, //
};
use crate::platform::kernel::address;
use crate::platform::kernel::mm::Mm;
use crate::platform::machine::host::CpuState;
use crate::platform::paging::entry_ptr::{
    self,
    EntryPtr, //
};
use crate::platform::paging::pages::OwnedPage;
use crate::pte::{
    self,
    PteRange, //
};
use crate::tlb;
use xen_model::Store;

const BY: CallContext<'_> = CallContext::in_test();

/// Pages of a test's process.
const START: usize = 8 * PAGE;
const PAGES: usize = 4;

/// A swap entry as generic code makes it: it holds no existing frame.
const SWAPPED: MachineEntry = MachineEntry::from_raw(bits::FRAME & !0xff_f000);

fn guest() -> Guest {
    Guest::boot(GuestConfig::dom0(3000).with_cpus(2))
}

/// A process with contents in its pages, and its original entries.
struct Mapped {
    process: Process,
    before: [MachineEntry; PAGES],
}

impl Mapped {
    fn new(guest: &Guest) -> Self {
        let mut process = guest.spawn();
        process.map(START, PAGES, Access::Write);
        for page in 0..PAGES {
            process.write(START + page * PAGE, 1);
        }
        let ptr = |page| ptr_of(&process, page);
        let before = std::array::from_fn(|page| ptr(page).read());
        Self { process, before }
    }

    fn mm(&self) -> Mm {
        self.process.mm()
    }

    fn ptr(&self, page: usize) -> EntryPtr {
        ptr_of(&self.process, page)
    }

    fn range(&self, count: usize) -> PteRange {
        PteRange::new(self.ptr(0), count)
    }

    fn set(&self, page: usize, entry: MachineEntry) {
        let at = Vaddr::new(START + page * PAGE);
        pte::set(self.mm(), at, PteRange::new(self.ptr(page), 1), entry, BY);
    }

    /// Puts the entries back and ends the process.
    fn end(self, guest: &Guest) {
        for (page, entry) in self.before.into_iter().enumerate() {
            pte::set_now(self.ptr(page), entry, BY);
        }
        tlb::flush_all(BY);
        self.process.exit();
        guest.assert_sound();
    }
}

fn ptr_of(process: &Process, page: usize) -> EntryPtr {
    let at = Vaddr::new(START + page * PAGE);
    generic::find(process.mm(), Level::L1, at).unwrap()
}

fn at() -> Vaddr {
    Vaddr::new(START)
}

/// Returns how many traps into Xen `action` takes.
fn traps(guest: &Guest, action: impl FnOnce()) -> u64 {
    let before = guest.host().machine.borrow().stats();
    action();
    let work = guest.host().machine.borrow().stats() - before;
    work.world_entries + work.emulated_stores
}

/// Runs `section` with the CPU in the state that `change` sets, and restores the old state.
fn with_state(guest: &Guest, change: fn(&mut CpuState), section: impl FnOnce()) {
    let before = guest.host().state();
    guest.host().with_state(change);
    section();
    guest.host().with_state(|state| *state = before);
}

#[test]
fn only_an_empty_entry_is_filled_later() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let (ptr, present) = (mapped.ptr(0), mapped.before[0]);
    for (old, new, waits) in [
        (MachineEntry::EMPTY, present, true),
        (MachineEntry::EMPTY, SWAPPED, true),
        (present, present.with(bits::SPECIAL), false),
        (present, MachineEntry::EMPTY, false),
        // A caller that makes a device-exclusive entry present reads it again.
        (SWAPPED, present, false),
        (SWAPPED, MachineEntry::EMPTY, false),
    ] {
        pte::set_now(ptr, old, BY);
        ops::in_lazy_mmu(|| {
            mapped.set(0, new);
            assert_eq!(ptr.read(), if waits { old } else { new });
            assert_eq!(!is_queue_empty(), waits);
        });
        assert_eq!(ptr.read(), new);
    }
    mapped.end(&guest);
}

#[test]
fn a_range_is_filled_later_if_all_of_it_is_empty() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let first = mapped.before[0].without(bits::RW);
    for last in [MachineEntry::EMPTY, SWAPPED] {
        for page in 0..PAGES {
            let entry = if page + 1 == PAGES {
                last
            } else {
                MachineEntry::EMPTY
            };
            pte::set_now(mapped.ptr(page), entry, BY);
        }
        ops::in_lazy_mmu(|| {
            pte::set(mapped.mm(), at(), mapped.range(PAGES), first, BY);
            assert_eq!(is_queue_empty(), last == SWAPPED);
        });
        assert!((0..PAGES).all(|page| mapped.ptr(page).read().is_present()));
    }
    mapped.end(&guest);
}

#[test]
fn changes_of_flags_wait_in_lazy_mode_and_only_there() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let entries = || -> [MachineEntry; 3] { std::array::from_fn(|page| mapped.ptr(page).read()) };
    let [old, protected, dirty, _] = mapped.before;
    let new = old.with(bits::SPECIAL);
    let change = |entry| pte::modify_protection(mapped.mm(), at(), mapped.ptr(0), entry, BY);
    let last = PteRange::new(mapped.ptr(2), 1);
    ops::enter_lazy_mmu();
    let count = traps(&guest, || {
        change(new);
        pte::write_protect(PteRange::new(mapped.ptr(1), 1), BY);
        pte::clear_young_dirty(mapped.mm(), at(), last, bits::DIRTY, BY);
        assert_eq!(entries(), [old, protected, dirty]);
    });
    assert_eq!(count, 0);
    assert!(!is_queue_empty());
    // An interrupt has no lazy mode: its requests follow what is queued.
    with_state(
        &guest,
        |state| state.in_interrupt = true,
        || {
            assert_eq!(traps(&guest, || tlb::flush_local(BY)), 1);
            assert!(is_queue_empty());
            let (protected, clean) = (protected.without(bits::RW), dirty.without(bits::DIRTY));
            assert_eq!(entries(), [new, protected, clean]);
            assert_eq!(traps(&guest, || change(old)), 1);
            assert_eq!(mapped.ptr(0).read(), old);
        },
    );
    ops::leave_lazy_mmu();
    mapped.end(&guest);
}

#[test]
fn set_pte_is_in_effect_on_return() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
    let present = ptr.read();
    ops::in_lazy_mmu(|| {
        pte::write_protect(mapped.range(1), BY);
        // As KFENCE does, which uses the page right away, even if its caller is in lazy MMU mode.
        for entry in [present.without(bits::PRESENT), present] {
            pte::set_now(ptr, entry, BY);
            assert_eq!(ptr.read(), entry);
        }
        assert_eq!(mapped.ptr(0).read().raw() & bits::RW, 0);
    });
    drop(page);
    mapped.end(&guest);
}

#[test]
fn a_single_entry_is_cleared_at_once_behind_what_waits() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let (ptr, old) = (mapped.ptr(0), mapped.before[0]);
    ops::in_lazy_mmu(|| {
        pte::write_protect(mapped.range(1), BY);
        let cleared = pte::get_and_clear(mapped.mm(), at(), ptr, BY);
        assert_eq!(cleared, old.without(bits::RW));
        assert!(ptr.read().is_none());
        // The caller restores the entry.
        mapped.set(0, old);
    });
    assert_eq!(ptr.read(), old);
    mapped.end(&guest);
}

#[test]
fn a_clean_entry_is_cleared_except_for_bits_of_the_cpu() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let noted = bits::ACCESSED | bits::DIRTY;
    for (flags, waits) in [
        (bits::RW, false),
        (bits::RW | bits::DIRTY, true),
        (bits::ACCESSED, true),
    ] {
        for count in [1, PAGES] {
            let entry = |page: usize| mapped.before[page].without(bits::RW | noted).with(flags);
            for page in 0..PAGES {
                pte::set_now(mapped.ptr(page), entry(page), BY);
            }
            ops::in_lazy_mmu(|| {
                let range = mapped.range(count);
                let (first, others) = pte::get_and_clear_range(mapped.mm(), at(), range, BY);
                assert_eq!(first, entry(0));
                let expected = if count == 1 {
                    0
                } else {
                    entry(1).protection().raw()
                };
                assert_eq!(others, expected);
                assert_eq!(!is_queue_empty(), waits, "{flags:#x}, {count} entries");
            });
            assert!((0..count).all(|page| mapped.ptr(page).read().is_none()));
        }
    }
    mapped.end(&guest);
}

#[test]
fn entries_are_cleared_later_if_no_caller_reads_them_again() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let inaccessible = mapped.before[0].without(bits::PRESENT | bits::RW);
    let inaccessible = MachineEntry::from_raw(!inaccessible.raw() & bits::FRAME | bits::GLOBAL);
    for (count, last, waits) in [
        (1, mapped.before[0], true),
        (2, mapped.before[1], true),
        (1, inaccessible, true),
        (2, inaccessible, true),
        // A marker replaces the entry of a page that userfaultfd tracks.
        (1, mapped.before[0].with(bits::UFFD_WP), false),
        (2, mapped.before[1].with(bits::UFFD_WP), false),
        (1, SWAPPED, false),
        (2, SWAPPED, false),
    ] {
        for is_returned in [false, true] {
            pte::set_now(mapped.ptr(0), mapped.before[0], BY);
            pte::set_now(mapped.ptr(count - 1), last, BY);
            ops::in_lazy_mmu(|| {
                let range = mapped.range(count);
                if is_returned {
                    pte::get_and_clear_range(mapped.mm(), at(), range, BY);
                } else {
                    pte::clear(mapped.mm(), at(), range, BY);
                }
                let is_cleared = mapped.ptr(count - 1).read().is_none();
                assert_eq!(is_cleared, !waits, "{count} entries, {last:x?}");
            });
            assert!((0..count).all(|page| mapped.ptr(page).read().raw() == 0));
        }
    }
    mapped.end(&guest);
}

#[test]
fn exec_moves_its_stack_over_itself() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    // relocate_vma_down() by one page: move_ptes() checks that each destination is empty.
    pte::set_now(mapped.ptr(0), MachineEntry::EMPTY, BY);
    with_state(
        &guest,
        |state| state.in_exec = true,
        || {
            ops::in_lazy_mmu(|| {
                for page in 1..PAGES {
                    assert!(mapped.ptr(page - 1).read().is_none(), "page {page}");
                    let from = PteRange::new(mapped.ptr(page), 1);
                    let address = Vaddr::new(START + page * PAGE);
                    let (entry, _) = pte::get_and_clear_range(mapped.mm(), address, from, BY);
                    mapped.set(page - 1, entry);
                }
            });
        },
    );
    let moved: Vec<_> = (0..PAGES).map(|page| mapped.ptr(page).read()).collect();
    let mut expected = mapped.before[1..].to_vec();
    expected.push(MachineEntry::EMPTY);
    assert_eq!(moved, expected);
    mapped.end(&guest);
}

#[test]
fn an_entry_of_the_kernel_is_emptied_and_set_by_an_instruction() {
    let guest = guest();
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let at = address::pfn_to_virt(page.pfn());
    let (ptr, _) = entry_ptr::lookup_address(at).unwrap();
    let (old, new) = (ptr.read(), ptr.read().with(bits::SPECIAL));
    let set = Store::CompareExchange {
        old: 0,
        new: new.raw() as u64,
    };
    // As in apply_range_set_cb() of kernel/bpf/arena.c.
    for old in [old, old.without(bits::DIRTY | bits::ACCESSED)] {
        pte::set_now(ptr, old, BY);
        let mut tries = 0;
        ops::in_lazy_mmu(|| {
            while generic::change_entry(ptr, set).raw() != 0 {
                ops::get_and_clear(Mm::kernel(), at, ptr);
                tries += 1;
            }
            assert_eq!(ptr.read(), new);
        });
        assert_eq!((ptr.read(), tries), (new, 1));
    }
    pte::set_now(ptr, old, BY);
    tlb::flush_all(BY);
    drop(page);
    guest.assert_sound();
}

#[test]
fn accessed_bits_are_cleared_and_no_dirty_bit_is_lost() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let clean = |page: usize| {
        mapped.before[page]
            .without(bits::DIRTY)
            .with(bits::ACCESSED)
    };
    let clear = |noted| {
        pte::clear_young_dirty(mapped.mm(), at(), mapped.range(PAGES), noted, BY);
    };
    // One change for each entry where no dirty bit can be lost, or the bit is to be cleared.
    for (entry, noted) in [
        (mapped.before[1].with(bits::ACCESSED), bits::ACCESSED),
        (mapped.before[1], bits::DIRTY),
        (clean(1), bits::DIRTY | bits::ACCESSED),
    ] {
        pte::set_now(mapped.ptr(1), entry, BY);
        assert_eq!(traps(&guest, || ops::in_lazy_mmu(|| clear(noted))), 1);
        assert_eq!(mapped.ptr(1).read(), entry.without(noted));
    }
    // A thread writes to the page before Xen changes the entry.
    for page in 0..PAGES {
        pte::set_now(mapped.ptr(page), clean(page), BY);
    }
    tlb::flush_all(BY);
    let who = guest.host().vcpu();
    let write = move |machine: &mut xen_model::Machine, _: &xen_model::Site| {
        // This fails while the entry is cleared.
        let _ = machine.user_write(who, START as u64, 7);
    };
    let interloper = Some(Box::new(write) as _);
    guest.host().machine.borrow_mut().set_interloper(interloper);
    ops::in_lazy_mmu(|| clear(bits::ACCESSED));
    guest.host().machine.borrow_mut().set_interloper(None);
    assert_ne!(mapped.ptr(0).read().raw() & bits::DIRTY, 0);
    for page in 1..PAGES {
        assert_eq!(mapped.ptr(page).read(), clean(page).without(bits::ACCESSED));
    }
    mapped.end(&guest);
}

#[test]
fn a_table_that_is_unlinked_is_gone_before_its_lock_is_dropped() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let above = generic::find(mapped.mm(), Level::L2, at()).unwrap();
    let root = mapped.mm().root().table().entry(Index::FIRST);
    let (old, old_root) = (above.read(), root.read());
    ops::in_lazy_mmu(|| {
        pte::clear(mapped.mm(), at(), mapped.range(PAGES), BY);
        assert!(!is_queue_empty());
        // zap_empty_pte_table() drops the lock of this entry before the section ends.
        ops::set_upper(above, Level::L2, MachineEntry::EMPTY);
        assert!(above.read().is_none());
        ops::set_upper(above, Level::L2, old);
        assert_eq!(above.read(), old);
        ops::set_upper(root, Level::L4, MachineEntry::EMPTY);
        assert!(root.read().is_none());
        ops::set_upper(root, Level::L4, old_root);
        assert_eq!(root.read(), old_root);
    });
    mapped.end(&guest);
}

#[test]
fn a_new_table_is_read_only_on_return() {
    let guest = guest();
    let process = guest.spawn();
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let (entry, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).unwrap();
    ops::in_lazy_mmu(|| {
        ops::alloc_table(process.mm(), page.pfn(), Level::L1);
        assert_eq!(entry.read().raw() & bits::RW, 0);
        ops::release_table(page.pfn(), Level::L1);
        assert_ne!(entry.read().raw() & bits::RW, 0);
    });
    drop(page);
    process.exit();
    guest.assert_sound();
}

#[test]
fn a_table_is_moved_in_one_go() {
    let guest = guest();
    let mut process = guest.spawn();
    let pages = crate::level::ENTRIES;
    process.map(2 << 20, pages, Access::Write);
    process.write(2 << 20, 7);
    let above = generic::level2_entry(process.mm(), Vaddr::new(2 << 20)).unwrap();
    let target = generic::level2_entry(process.mm(), Vaddr::new(8 << 20)).unwrap();
    let entry = above.read();
    let count = traps(&guest, || {
        ops::in_table_move(|| {
            let count = traps(&guest, || {
                ops::set_upper(above, Level::L2, MachineEntry::EMPTY);
                ops::set_upper(target, Level::L2, entry);
            });
            assert_eq!(count, 0);
            assert_eq!((above.read(), target.read().is_none()), (entry, true));
        });
    });
    assert!(count > 0);
    assert_eq!((above.read().is_none(), target.read()), (true, entry));
    // In any other section of lazy MMU mode, upper entries change at once.
    ops::in_lazy_mmu(|| {
        ops::set_upper(target, Level::L2, MachineEntry::EMPTY);
        ops::set_upper(above, Level::L2, entry);
        assert_eq!((above.read(), target.read().is_none()), (entry, true));
    });
    tlb::flush_all(BY);
    assert_eq!(process.read(2 << 20), 7);
    process.exit();
    guest.assert_sound();
}

#[test]
fn an_nmi_goes_past_a_queue_that_is_half_filled() {
    let guest = guest();
    let mapped = Mapped::new(&guest);
    let page = OwnedPage::zeroed(&mut MaySleep::here()).unwrap();
    let address = address::pfn_to_virt(page.pfn());
    let (ptr, _) = entry_ptr::lookup_address(address).unwrap();
    let old = ptr.read();
    ops::in_lazy_mmu(|| {
        pte::write_protect(mapped.range(1), BY);
        with_state(
            &guest,
            |state| state.in_nmi = true,
            || {
                let cleared = pte::get_and_clear(Mm::kernel(), address, ptr, BY);
                assert_eq!((cleared, ptr.read().raw()), (old, 0));
                pte::set_now(ptr, old, BY);
                assert_eq!(ptr.read(), old);
                tlb::flush_page_local(address, BY);
            },
        );
        // The task's queue still waits.
        assert!(!is_queue_empty());
        assert_eq!(mapped.ptr(0).read(), mapped.before[0]);
    });
    assert_eq!(mapped.ptr(0).read().raw() & bits::RW, 0);
    drop(page);
    mapped.end(&guest);
}
