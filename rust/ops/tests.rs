// SPDX-License-Identifier: GPL-2.0-only

//! Tests of the entry points: the table of operations, the patched call sites, and lazy MMU mode.

#[kernel::macros::kunit_tests(xen_pv_mmu_ops)]
mod table_and_call_sites {
    use crate::ops::vtable::own_slots;
    use crate::platform::diag::kunit;
    use crate::platform::kernel::kernel_data;
    use kernel::bindings;
    use kernel::prelude::*;

    /// Slots with native functions: `notify_page_enc_status_changed`, `alloc_p4d`, `release_p4d`
    /// and `set_pgd`.
    const NATIVE_SLOTS: usize = 4;

    #[test]
    fn no_slot_was_left_out() {
        // If a kernel has more slots, find out what they do before you change this number.
        let slots = size_of::<bindings::pv_mmu_ops>() / size_of::<usize>();
        assert_eq!(slots, own_slots().len() + NATIVE_SLOTS);
    }

    #[test]
    fn all_slots_call_the_backend() {
        if kunit::skip_without_xen() {
            return;
        }
        for (name, value, own) in own_slots() {
            if value != own {
                kernel::pr_err!("slot {} is {:#x}\n", name, value);
            }
            assert_eq!(value, own);
        }
    }

    #[test]
    fn without_xen_no_slot_calls_the_backend() {
        if kernel_data::is_pv_domain() {
            return kunit::skip(c"in a PV domain");
        }
        for (_, value, own) in own_slots() {
            assert!(value != own);
        }
    }

    /// An entry of the table of alternative instructions, `struct alt_instr`.
    #[derive(Clone, Copy)]
    #[repr(C, packed)]
    struct Alternative {
        site: i32,
        replacement: i32,
        feature: u16,
        flags: u16,
        len: u8,
        replacement_len: u8,
    }

    const _: () = core::assert!(size_of::<Alternative>() == size_of::<bindings::alt_instr>());

    const DIRECT_CALL: u16 = bindings::ALT_FLAG_DIRECT_CALL as u16;

    /// Returns the address and the first six bytes of each call site of a paravirt operation.
    fn call_sites() -> impl Iterator<Item = (usize, [u8; 6])> {
        let start = (&raw const bindings::__alt_instructions).cast::<Alternative>();
        let end = (&raw const bindings::__alt_instructions_end).cast::<Alternative>();
        let count = (end as usize - start as usize) / size_of::<Alternative>();

        (0..count).filter_map(move |index| {
            // SAFETY: Tests run before the table is freed, and the entry is within it.
            let entry = unsafe { start.add(index) };
            // SAFETY: As above; the structure is packed.
            let alternative = unsafe { entry.read_unaligned() };
            if alternative.flags & DIRECT_CALL == 0 || alternative.len < 6 {
                return None;
            }
            // Offsets count from the field that holds them, which is the first.
            let site = (entry as usize).wrapping_add_signed(alternative.site as isize);
            // SAFETY: The site is that many bytes of kernel text.
            Some((site, unsafe { (site as *const [u8; 6]).read() }))
        })
    }

    /// Returns the target of a direct call at `site`.
    fn target(site: usize, bytes: [u8; 6]) -> Option<usize> {
        let [0xe8, a, b, c, d, _] = bytes else {
            return None;
        };
        let offset = i32::from_le_bytes([a, b, c, d]);
        Some((site + 5).wrapping_add_signed(offset as isize))
    }

    #[test]
    fn call_sites_are_direct_calls_of_the_backend() {
        if kunit::skip_without_xen() {
            return;
        }
        for name in ["set_pte", "set_pmd", "make_pte", "pte_val", "alloc_pte"] {
            let own = own_slots()
                .find(|(slot, _, _)| *slot == name)
                .map_or(0, |(_, _, own)| own);
            let sites = call_sites()
                .filter(|(site, bytes)| target(*site, *bytes) == Some(own))
                .count();
            if sites == 0 {
                kernel::pr_err!("no call site of {}\n", name);
            }
            assert!(sites > 0);
        }
    }

    /// With IBT, each target of an indirect call begins with `endbr64`.
    #[cfg(CONFIG_X86_KERNEL_IBT)]
    #[test]
    fn all_slots_are_landing_pads() {
        for (name, _, own) in own_slots() {
            // SAFETY: A function is longer than four bytes.
            let first = unsafe { (own as *const [u8; 4]).read() };
            if first != [0xf3, 0x0f, 0x1e, 0xfa] {
                kernel::pr_err!("the function of slot {} begins with {:02x?}\n", name, first);
            }
            assert_eq!(first, [0xf3, 0x0f, 0x1e, 0xfa]);
        }
    }

    #[test]
    fn no_call_site_is_indirect() {
        if kunit::skip_without_xen() {
            return;
        }
        // `call *disp32(%rip)` and `call *disp32` are what paravirt calls are compiled to.
        let indirect = call_sites()
            .filter(|(_, bytes)| matches!(bytes, [0xff, 0x15 | 0x14, ..]))
            .count();
        assert_eq!(indirect, 0);
        assert!(call_sites().count() > 100);
    }
}

#[kernel::macros::kunit_tests(xen_pv_mmu_lazy)]
mod lazy_mode {
    use crate::addr::{
        Mfn,
        Pfn,
        Vaddr, //
    };
    use crate::entry::{
        bits,
        MachineEntry, //
    };
    use crate::multicall::{
        self,
        is_queue_empty,
        Batch,
        Issue, //
    };
    use crate::p2m::{
        self,
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
    use crate::platform::cpu::context::{
        self,
        IrqsOff, //
    };
    use crate::platform::diag::kunit;
    use crate::platform::kernel::address;
    use crate::platform::kernel::mm::Mm;
    use crate::platform::paging::entry_ptr::{
        self,
        EntryPtr, //
    };
    use crate::platform::paging::pages::OwnedPage;
    use crate::platform::xen::abi::ExtOp;
    use crate::platform::xen::machine_map::xen_p2m_size;
    use crate::pte;
    use kernel::bindings;
    use kernel::prelude::*;

    /// How often this task has paused lazy mode and how often it has entered it.
    fn counts() -> (u8, u8) {
        // SAFETY: Reads state of the current task.
        unsafe {
            (
                bindings::xen_pv_mmu_lazy_pause_count(),
                bindings::xen_pv_mmu_lazy_enable_count(),
            )
        }
    }

    fn enter() {
        // SAFETY: The tests leave the mode later.
        unsafe { bindings::lazy_mmu_mode_enable() }
    }

    fn leave() {
        // SAFETY: `enter()` was called before.
        unsafe { bindings::lazy_mmu_mode_disable() }
    }

    /// Switches to other tasks and back.
    fn switch_tasks() {
        for _ in 0..4 {
            // SAFETY: The task may sleep.
            unsafe { bindings::schedule_timeout_uninterruptible(1) };
        }
    }

    #[test]
    fn new_task_is_not_paused() {
        // Tests run in a task of their own, which has been switched to at least once.
        assert_eq!(counts(), (0, 0));
        switch_tasks();
        assert_eq!(counts(), (0, 0));
    }

    #[test]
    fn mode_can_be_entered() {
        if kunit::skip_without_xen() {
            return;
        }
        enter();
        let active = context::is_lazy_mmu_mode_active();
        leave();
        assert!(active);
        assert!(!context::is_lazy_mmu_mode_active());
        assert_eq!(counts(), (0, 0));
    }

    #[test]
    fn mode_survives_task_switches() {
        if kunit::skip_without_xen() {
            return;
        }
        enter();
        switch_tasks();
        let inside = (context::is_lazy_mmu_mode_active(), counts());
        leave();
        assert_eq!(inside, (true, (0, 1)));
        assert_eq!(counts(), (0, 0));
    }

    /// Runs `test` on the entry of the direct map for a page of the test, with values of that entry
    /// without and with a software bit.
    fn with_entry(test: impl FnOnce(Vaddr, EntryPtr, MachineEntry, MachineEntry)) -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let address = address::pfn_to_virt(page.pfn());
        let ptr = entry_ptr::lookup_address(address).ok_or(EINVAL)?.0;
        let old = ptr.read();

        test(address, ptr, old, old.with(bits::UFFD_WP));
        pte::set_now(ptr, old, CallContext::in_test());
        Ok(())
    }

    #[test]
    fn updates_wait_and_are_flushed() -> Result {
        with_entry(|address, ptr, old, new| {
            // An interrupt that sets an entry flushes the queue. The test tries again then.
            let mut waited = false;
            for _ in 0..10 {
                enter();
                pte::modify_protection(Mm::kernel(), address, ptr, new, CallContext::in_test());
                waited = !is_queue_empty() && ptr.read() == old;
                leave();
                if waited {
                    break;
                }
                pte::set_now(ptr, old, CallContext::in_test());
            }
            assert!(waited);
            assert!(is_queue_empty());
            assert_eq!(ptr.read(), new);
        })
    }

    #[test]
    fn mappings_of_the_kernel_change_at_once() -> Result {
        with_entry(|_, ptr, _, new| {
            enter();
            pte::set_now(ptr, new, CallContext::in_test());
            let seen = ptr.read();
            leave();
            assert_eq!(seen, new);
        })
    }

    /// Whether an operation is still queued when its batch has ended.
    fn waits(issue: Issue) -> bool {
        Batch::open(issue, CallContext::in_test()).ext(ExtOp::flush_local());
        let waits = !is_queue_empty();
        multicall::flush();
        waits
    }

    #[test]
    fn changes_of_cpu_state_wait_only_for_the_end_of_a_task_switch() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // SAFETY: The table no longer changes.
        let operations = unsafe { bindings::pv_ops.cpu };
        let begin = operations.start_context_switch.ok_or(EINVAL)?;
        let end = operations.end_context_switch.ok_or(EINVAL)?;
        // SAFETY: Reads state of the current task.
        let task = unsafe { bindings::get_current() };
        let modes = || {
            [
                context::is_lazy_mmu_mode_active(),
                context::is_lazy_cpu_mode_active(),
            ]
        };
        let kept_back = || [Issue::LazyMmu, Issue::LazyCpu].map(waits);

        let irqs = IrqsOff::new();
        enter();
        let in_section = (modes(), kept_back());
        // SAFETY: Interrupts are off, and the next task is the current one.
        unsafe { begin(task) };
        let in_switch = (modes(), kept_back());
        // SAFETY: As above.
        unsafe { end(task) };
        let behind_switch = (modes(), kept_back());
        leave();
        drop(irqs);

        assert_eq!(in_section, ([true, false], [true, false]));
        assert_eq!(in_switch, ([false, true], [false, true]));
        assert_eq!(behind_switch, in_section);
        assert_eq!(counts(), (0, 0));
        Ok(())
    }

    #[test]
    fn list_grows_by_a_fault_within_a_section() {
        if kunit::skip_without_xen() {
            return;
        }
        let last_frame = list::with_list(CallContext::in_test(), |list| list.last_frame);
        let pfn = Pfn::new(layout::round_to_leaves(last_frame));
        if pfn.raw() + layout::FRAMES_PER_LEAF > xen_p2m_size.get() {
            return kunit::skip(c"the list has all its pages");
        }
        let before = p2m::word(pfn);
        let foreign = P2mWord::encode(pfn, P2mEntry::Foreign(Mfn::new(0x1234)));
        let mut sleep = MaySleep::in_test();

        enter();
        let was_shared = !p2m::try_set(pfn, foreign);
        let is_set = p2m::grow::set(pfn, foreign, &mut sleep).is_ok();
        let inside = p2m::word(pfn);
        leave();
        let is_restored = p2m::grow::set(pfn, before, &mut sleep).is_ok();

        assert!(was_shared && is_set && is_restored);
        assert!(inside == foreign);
        assert!(p2m::word(pfn) == before);
    }

    #[test]
    fn nested_sections_flush_when_left() {
        if kunit::skip_without_xen() {
            return;
        }
        enter();
        enter();
        leave();
        let still_active = context::is_lazy_mmu_mode_active();
        leave();
        assert!(still_active);
        assert!(!context::is_lazy_mmu_mode_active());
    }
}

#[kernel::macros::kunit_tests(xen_pv_mmu_live)]
mod live_tables {
    use crate::addr::Vaddr;
    use crate::pin::LiveTables;
    use crate::platform::cpu::call_context::MaySleep;
    use crate::platform::diag::kunit;
    use crate::platform::kernel::address;
    use crate::platform::paging::entry_ptr;
    use crate::platform::paging::pages::OwnedPage;
    use crate::platform::paging::pin_state;
    use crate::platform::paging::static_tables;
    use crate::platform::xen::machine_map::xen_p2m_addr;
    use crate::walk::{
        find,
        walk,
        WalkRange, //
    };
    use kernel::prelude::*;

    #[test]
    fn walker_agrees_with_the_kernel() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let addresses = [
            crate::platform::kernel::address::pfn_to_virt(page.pfn()).raw(),
            static_tables::root().vaddr().raw(),
            walker_agrees_with_the_kernel as usize,
            xen_p2m_addr.get(),
            0xffff_ffff_ff60_0000,
            0xffff_8880_0000_0000,
        ];
        let mut mapped = 0;
        for address in addresses.map(Vaddr::new) {
            let ours = find(
                &LiveTables,
                static_tables::root(),
                address::depth(),
                address,
            )
            .map(|(entry, _)| entry.raw() & !0x60);
            let theirs = entry_ptr::lookup_address(address)
                .map(|(ptr, _)| ptr.read().raw() & !0x60)
                .filter(|entry| entry & 1 != 0);
            assert_eq!(ours, theirs);
            mapped += usize::from(ours.is_some());
        }
        // The page, the root, the text and the list are mapped; the other addresses may be.
        assert!(mapped >= 4);
        Ok(())
    }

    #[test]
    fn all_kernel_tables_are_pinned() {
        if kunit::skip_without_xen() {
            return;
        }
        let mut tables = 0;
        let mut unpinned = 0;
        let everything = WalkRange::below(address::depth(), Vaddr::new(0xffff_ffff_ff80_0000));
        walk(&LiveTables, static_tables::root(), &everything, |visited| {
            tables += 1;
            if !pin_state::is_table_pinned(visited.table) {
                unpinned += 1;
            }
        });
        assert!(tables > 10);
        assert_eq!(unpinned, 0);
    }

    #[test]
    fn word_of_the_user_root_is_not_the_lock() {
        // The descriptor's lock pointer may be in use: see `rust_helper_xen_pv_mmu_pgd_word()`.
        use kernel::bindings::ptdesc;
        let word = core::mem::offset_of!(ptdesc, __page_mapping);
        let lock = core::mem::offset_of!(ptdesc, __bindgen_anon_3);
        assert!(word != lock);
    }
}
