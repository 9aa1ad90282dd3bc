// SPDX-License-Identifier: GPL-2.0-only

//! Tests of the list of roots, of tables and entries that Xen refuses, of the note for crash tools,
//! and of a crash during a batch.

#[kernel::macros::kunit_tests(xen_pv_mmu_tables)]
mod tables {
    use crate::addr::{
        Mfn,
        Pfn,
        Vaddr, //
    };
    use crate::entry::{
        bits,
        MachineEntry, //
    };
    use crate::level::Level;
    use crate::platform::cpu::call_context::{
        CallContext,
        CallSite,
        MaySleep, //
    };
    use crate::platform::diag::kept_report::Report;
    use crate::platform::diag::kunit;
    use crate::platform::diag::report;
    use crate::platform::kernel::address;
    use crate::platform::kernel::mm::{
        self,
        Mm, //
    };
    use crate::platform::paging::entry_ptr;
    use crate::platform::paging::pages::OwnedPage;
    use crate::platform::paging::table::Table;
    use crate::{
        p2m,
        pte,
        ptpage, //
    };
    use core::ptr::NonNull;
    use kernel::bindings;
    use kernel::prelude::*;

    const CALLER: CallContext<'_> = CallContext::in_test();

    /// Returns how often `root` is among the roots of all address spaces.
    fn times_listed(root: Table) -> usize {
        let mut times = 0;
        mm::for_each_root(CALLER, |listed| {
            times += usize::from(listed.table() == root)
        });
        times
    }

    #[test]
    fn list_of_roots_follows_address_spaces() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // SAFETY: KUnit runs tests in a context that may sleep.
        let mm = NonNull::new(unsafe { bindings::mm_alloc() }).ok_or(ENOMEM)?;
        // SAFETY: The address space exists until it is dropped below.
        let root = unsafe { Mm::from_raw(mm.as_ptr()) }.root().table();
        let with_it = times_listed(root);
        // SAFETY: This is the only reference, and it is not used any more.
        unsafe { bindings::mmdrop(mm.as_ptr()) };
        assert_eq!(with_it, 1);
        assert_eq!(times_listed(root), 0);
        Ok(())
    }

    /// A second, writable mapping of a page.
    struct SecondMapping(NonNull<core::ffi::c_void>);

    impl SecondMapping {
        fn of(pfn: Pfn) -> Option<Self> {
            // SAFETY: The frame is memory.
            let mut page = unsafe { bindings::xen_pv_mmu_pfn_to_page(pfn.raw()) };
            let protection = bindings::pgprot_t {
                pgprot: address::kernel_rw().raw(),
            };
            let flags = bindings::VM_MAP as usize;
            // SAFETY: The array has one element; the page is not freed before the mapping.
            let mapping = unsafe { bindings::vmap(&mut page, 1, flags, protection) };
            NonNull::new(mapping).map(Self)
        }
    }

    impl Drop for SecondMapping {
        fn drop(&mut self) {
            // SAFETY: `vmap()` has returned this mapping, and nothing uses it any more.
            unsafe { bindings::vunmap(self.0.as_ptr()) }
        }
    }

    /// Makes `page` a table, and then an ordinary page again. Returns how many reports the first
    /// step caused, and the last of them.
    fn make_table(page: &OwnedPage) -> (usize, Option<Report>) {
        report::keep_reports();
        ptpage::alloc(Mm::kernel(), page.pfn(), Level::L1, CALLER);
        let reports = report::print_reports();
        // If Xen did not pin the table, it refuses to unpin it. That report is not counted.
        report::keep_reports();
        ptpage::release(page.pfn(), Level::L1, CALLER);
        report::print_reports();
        reports
    }

    #[test]
    fn second_mapping_of_a_table_is_reported() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        if !crate::platform::kernel::mm::SPLIT_PTE_LOCKS {
            kunit::skip(c"tables have no locks of their own");
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let (ptr, _) = entry_ptr::lookup_address(address::pfn_to_virt(page.pfn())).ok_or(EINVAL)?;
        let mfn = p2m::mfn_of(page.pfn()).ok_or(EINVAL)?;
        let is_writable = || ptr.read().mfn() == mfn && ptr.read().raw() & bits::RW != 0;

        let second = SecondMapping::of(page.pfn()).ok_or(ENOMEM)?;
        let (count, last) = make_table(&page);
        let is_released = is_writable();
        drop(second);
        let without = make_table(&page);

        assert_eq!(count, 1);
        let expected = Some((mfn.raw(), CallSite::TEST));
        assert_eq!(last.map(|report| (report.value, report.by)), expected);
        assert_eq!(without.0, 0);
        assert!(is_released && is_writable());
        Ok(())
    }

    #[cfg(CONFIG_VMCORE_INFO)]
    #[test]
    fn note_for_dumps_is_found_by_machine_address() {
        use crate::level::{
            PAGE_SHIFT,
            PAGE_SIZE, //
        };
        use crate::platform::kernel::address;

        if kunit::skip_without_xen() {
            return;
        }
        // SAFETY: The note was allocated when the kernel's subsystems were, before tests run.
        let (machine, note) = unsafe {
            (
                bindings::paddr_vmcoreinfo_note() as usize,
                Vaddr::new(bindings::vmcoreinfo_note as usize),
            )
        };
        let here = address::virt_to_phys(note);
        assert_eq!(
            p2m::pfn_of(Mfn::new(machine >> PAGE_SHIFT)),
            Some(here.pfn())
        );
        assert_eq!(machine % PAGE_SIZE, here.offset());
    }

    #[test]
    fn refused_device_page_is_reported() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        /// The frame of the local APIC, which only Xen may map.
        const LOCAL_APIC: Mfn = Mfn::new(0xfee00);
        const EPERM: isize = -1;

        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let vaddr: Vaddr = address::pfn_to_virt(page.pfn());
        let (ptr, _) = entry_ptr::lookup_address(vaddr).ok_or(EINVAL)?;
        let before = ptr.read();
        let entry = MachineEntry::new(LOCAL_APIC, address::kernel_rw());

        report::keep_reports();
        pte::set_now(ptr, entry, CALLER);
        let (count, last) = report::print_reports();
        let after = ptr.read();
        if after != before {
            pte::set_now(ptr, before, CALLER);
        }

        assert_eq!(count, 1);
        assert!(
            last == Some(Report {
                target: p2m::machine_address(ptr.vaddr()).raw(),
                value: entry.raw(),
                error: EPERM,
                by: CallSite::TEST,
            })
        );
        assert!(after == before);
        Ok(())
    }

    /// Of many reports in a row, only a few are printed. One of them may begin a new interval.
    #[test]
    fn reports_are_limited() {
        const BURST: usize = 10;

        let printed = (0..4 * BURST).filter(|_| report::may_report()).count();
        assert!((1..=2 * BURST).contains(&printed));
    }
}

#[kernel::macros::kunit_tests(xen_pv_mmu_crash)]
mod crash {
    use crate::multicall::{
        Batch,
        Issue, //
    };
    use crate::platform::cpu::call_context::CallContext;
    use crate::platform::diag::kunit;
    use crate::platform::xen::abi::ExtOp;
    use kernel::bindings;
    use kernel::prelude::*;
    use kernel::str::CStr;

    /// The boot parameter that enables the crash.
    const PARAMETER: &[u8] = b"xen_pv_mmu_crash";

    #[test]
    fn batch_is_open_in_a_crash() {
        // SAFETY: The command line exists for good and does not change.
        let parameters = unsafe { CStr::from_char_ptr(bindings::saved_command_line) };
        let mut words = parameters.to_bytes().split(|byte| *byte == b' ');
        if !words.any(|word| word == PARAMETER) {
            return kunit::skip(c"the crash is not requested");
        }
        let mut batch = Batch::open(Issue::Now, CallContext::in_test());
        batch.ext(ExtOp::flush_local());
        panic!("crash within a batch");
    }
}
