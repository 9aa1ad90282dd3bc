// SPDX-License-Identifier: GPL-2.0-only

//! Tests of conversions: the thunks, and the places where generic code needs no conversion.

#[kernel::macros::kunit_tests(xen_pv_mmu_thunks)]
mod thunks {
    use crate::addr::Pfn;
    use crate::convert;
    use crate::entry::{
        bits,
        Protection,
        PseudoEntry, //
    };
    use crate::platform::cpu::call_context::MaySleep;
    use crate::platform::diag::kunit;
    use crate::platform::paging::pages::OwnedPage;
    use crate::platform::xen::machine_map::xen_max_p2m_pfn;
    use kernel::prelude::*;

    #[test]
    fn thunks_agree_with_rust() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let own = PseudoEntry::new(page.pfn(), Protection::from_raw(bits::PRESENT | bits::NX));
        let device = PseudoEntry::new(
            Pfn::new(xen_max_p2m_pfn.get() + 5),
            Protection::from_raw(bits::PRESENT),
        );
        for pseudo in [own, device, PseudoEntry::from_raw(0x1234_5000)] {
            let machine = convert::to_machine(pseudo);
            assert_eq!(
                crate::ops::vtable::make_by_thunk(pseudo.raw()),
                machine.raw()
            );
            assert_eq!(
                crate::ops::vtable::val_by_thunk(machine.raw()),
                convert::to_pseudo(machine).raw()
            );
        }
        Ok(())
    }
}

#[kernel::macros::kunit_tests(xen_pv_mmu_table_thunks)]
mod table_thunks {
    use crate::addr::Mfn;
    use crate::convert;
    use crate::entry::{
        bits,
        MachineEntry,
        Protection, //
    };
    use crate::ops::vtable::table_val_by_thunk;
    use crate::p2m;
    use crate::platform::cpu::call_context::MaySleep;
    use crate::platform::diag::kunit;
    use crate::platform::paging::pages::OwnedPage;
    use kernel::prelude::*;

    #[test]
    fn they_agree_with_rust() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let mfn = p2m::mfn_of(page.pfn()).ok_or(EINVAL)?;
        let flags = Protection::from_raw(bits::USER_TABLE | bits::NX | (0x7ff << 52));
        // A table, a frame that is no memory, an entry that is not present, and an empty one.
        let beyond = Mfn::new((1 << 40) - 1);
        for entry in [
            MachineEntry::new(mfn, flags),
            MachineEntry::new(beyond, flags),
            MachineEntry::new(beyond, flags).without(bits::PRESENT),
            MachineEntry::EMPTY,
        ] {
            let expected = convert::to_pseudo(entry).raw();
            assert_eq!(table_val_by_thunk(entry.raw()), expected);
        }
        Ok(())
    }
}

#[kernel::macros::kunit_tests(xen_pv_mmu_keep_frame)]
mod kept_frames {
    use crate::addr::Mfn;
    use crate::convert;
    use crate::entry::{
        bits,
        MachineEntry,
        Protection,
        PseudoEntry, //
    };
    use crate::level::PAGE_SHIFT;
    use crate::p2m;
    use crate::platform::cpu::call_context::MaySleep;
    use crate::platform::diag::kunit;
    use crate::platform::paging::pages::OwnedPage;
    use kernel::bindings;
    use kernel::prelude::*;

    const READ_ONLY: usize = bits::PRESENT | bits::USER | bits::ACCESSED;
    /// `_PAGE_PROTNONE`.
    const NO_ACCESS: usize = 1 << 8;

    /// Calls `pte_modify()`.
    fn modify(entry: MachineEntry, flags: usize) -> MachineEntry {
        let (pte, pgprot) = (entry.raw(), flags);
        let (pte, prot) = (bindings::pte_t { pte }, bindings::pgprot_t { pgprot });
        // SAFETY: Only computes.
        MachineEntry::from_raw(unsafe { bindings::pte_modify(pte, prot) }.pte)
    }

    /// Calls `pte_needs_flush()`.
    fn needs_flush(old: MachineEntry, new: MachineEntry) -> bool {
        let [old, new] = [old, new].map(|entry| bindings::pte_t { pte: entry.raw() });
        // SAFETY: Only computes.
        unsafe { bindings::pte_needs_flush(old, new) }
    }

    fn writable(page: &OwnedPage) -> PseudoEntry {
        let flags = Protection::from_raw(READ_ONLY | bits::RW);
        PseudoEntry::new(page.pfn(), flags)
    }

    #[test]
    fn frames_stay_when_flags_change() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let pages = [
            OwnedPage::zeroed(&mut MaySleep::in_test()),
            OwnedPage::zeroed(&mut MaySleep::in_test()),
        ];
        let [Some(page), Some(other)] = &pages else {
            return Err(ENOMEM);
        };
        let entry = convert::to_machine(writable(page));
        let flags = Protection::from_raw(READ_ONLY);
        let changed = convert::to_machine(PseudoEntry::new(page.pfn(), flags));

        assert_eq!(modify(entry, READ_ONLY), changed);
        assert_eq!(modify(changed, READ_ONLY | bits::RW), entry);
        // Write protection needs a flush, and so does another frame. A dirty bit does not.
        assert!(needs_flush(entry, changed));
        assert!(!needs_flush(changed, changed.with(bits::DIRTY)));
        let elsewhere = convert::to_machine(writable(other));
        assert!(needs_flush(changed, elsewhere));
        Ok(())
    }

    #[test]
    fn mappings_without_access_hold_no_machine_frame() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        let entry = convert::to_machine(writable(&page));

        let none = modify(entry, NO_ACCESS);
        let inverted = !(page.pfn().raw() << PAGE_SHIFT) & bits::FRAME;
        assert!(!none.is_present());
        assert_eq!(none.raw() & bits::FRAME, inverted);
        // The other way round.
        assert_eq!(modify(none, READ_ONLY | bits::RW), entry);
        Ok(())
    }

    #[test]
    fn frames_of_others_are_not_kept() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // Xen's own memory, for example, does not belong to the domain.
        let mfn = (1..)
            .map(Mfn::new)
            .find(|mfn| p2m::pfn_of(*mfn).is_none())
            .ok_or(EINVAL)?;
        let flags = Protection::from_raw(READ_ONLY | bits::SPECIAL);
        let entry = MachineEntry::new(mfn, flags);
        assert!(modify(entry, READ_ONLY).mfn() != mfn);
        Ok(())
    }
}
