// SPDX-License-Identifier: GPL-2.0-only

//! Tests of the live p2m list.

#![forbid(unsafe_code)]

#[kernel::macros::kunit_tests(xen_pv_mmu_p2m)]
mod live_list {
    use crate::addr::{
        Mfn,
        Pfn, //
    };
    use crate::convert;
    use crate::entry::{
        bits,
        MachineEntry,
        Protection,
        PseudoEntry, //
    };
    use crate::level::Index;
    use crate::p2m::shared::Shared;
    use crate::p2m::{
        self,
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
    use crate::platform::diag::kunit;
    use crate::platform::early::start_of_day::{
        SharedP2m,
        StartInfo, //
    };
    use crate::platform::paging::pages::OwnedPage;
    use crate::platform::xen::machine_map::{
        xen_max_p2m_pfn,
        xen_p2m_size, //
    };
    use kernel::prelude::*;

    #[test]
    fn frames_of_the_domain_map_back() {
        if kunit::skip_without_xen() {
            return;
        }
        let mut local = 0;
        for pfn in (0..StartInfo::nr_pages()).map(Pfn::new) {
            if let P2mEntry::Local(mfn) = p2m::word(pfn).decode() {
                local += 1;
                if p2m::pfn_of(mfn) != Some(pfn) {
                    // Remapped device memory has a word in the list, but no m2p entry.
                    assert_eq!(p2m::pfn_of(mfn), None);
                }
            }
        }
        assert!(local > StartInfo::nr_pages() / 2);
    }

    #[test]
    fn lookups_at_the_borders() {
        if kunit::skip_without_xen() {
            return;
        }
        let (size, max) = (xen_p2m_size.get(), xen_max_p2m_pfn.get());
        assert_eq!(size % layout::FRAMES_PER_MIDDLE, 0);
        assert_eq!(size, max);
        for pfn in [size, size + 1, 1 << 39, (1 << 52) - 1].map(Pfn::new) {
            assert_eq!(p2m::word(pfn).decode(), P2mEntry::Identity);
            assert_eq!(p2m::word(pfn).mfn(), Some(Mfn::new(pfn.raw())));
            assert!(!p2m::try_set(pfn, P2mWord::from_raw(1)));
            assert!(p2m::try_set(pfn, P2mWord::MISSING));
        }
    }

    #[test]
    fn nothing_is_where_the_list_has_no_pages() {
        if kunit::skip_without_xen() {
            return;
        }
        let last_frame = list::with_list(CallContext::in_test(), |list| list.last_frame);
        let rest = layout::round_to_leaves(last_frame)..xen_p2m_size.get();
        if rest.is_empty() {
            return kunit::skip(c"the list has all its pages");
        }
        for pfn in [rest.start, rest.end - 1].map(Pfn::new) {
            let entry = p2m::word(pfn).decode();
            assert!(matches!(entry, P2mEntry::Missing | P2mEntry::Identity));
        }
    }

    #[test]
    fn shared_pages_hold_nothing_but_ones() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        for shared in [Shared::Missing, Shared::Identity] {
            let page = shared.page().ok_or(EINVAL)?;
            for index in Index::all() {
                assert_eq!(page.entry(index).read().raw(), usize::MAX);
            }
        }
        Ok(())
    }

    #[test]
    fn list_grows_where_it_is_written() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // The first whole page after the list's own pages.
        let last_frame = list::with_list(CallContext::in_test(), |list| list.last_frame);
        let start = Pfn::new(layout::round_to_leaves(last_frame));
        if start.raw() + layout::FRAMES_PER_LEAF > xen_p2m_size.get() {
            kunit::skip(c"the list has all its pages");
            return Ok(());
        }
        let mut sleep = MaySleep::in_test();
        let generation = SharedP2m::generation();
        let foreign = P2mEntry::Foreign(Mfn::new(0x1234));
        let before = p2m::word(start).decode();
        assert!(matches!(before, P2mEntry::Missing | P2mEntry::Identity));
        assert!(!p2m::try_set(start, P2mWord::encode(start, foreign)));
        assert!(p2m::grow::set(start, P2mWord::encode(start, foreign), &mut sleep).is_ok());

        assert_eq!(p2m::word(start).decode(), foreign);
        assert_eq!(p2m::word(start.add(1)).decode(), before);
        assert_eq!(p2m::word(start.add(511)).decode(), before);
        assert_eq!(SharedP2m::generation() % 2, 0);
        assert!(SharedP2m::generation() > generation);
        assert!(list::with_list(CallContext::in_test(), |list| list.last_frame) > start.raw());

        // Growing again changes nothing.
        let generation = SharedP2m::generation();
        assert!(grow::grow(start, &mut sleep).is_ok());
        assert_eq!(SharedP2m::generation(), generation);
        assert!(p2m::grow::set(start, P2mWord::encode(start, before), &mut sleep).is_ok());
        assert_eq!(p2m::word(start).decode(), before);
        Ok(())
    }

    #[test]
    fn list_cannot_grow_beyond_its_end() {
        if kunit::skip_without_xen() {
            return;
        }
        let mut sleep = MaySleep::in_test();
        let end = Pfn::new(xen_max_p2m_pfn.get());
        assert!(grow::grow(end, &mut sleep).is_err());
        assert!(p2m::grow::set(end, P2mWord::from_raw(1), &mut sleep).is_err());
    }

    #[test]
    fn conversions_are_inverse_on_own_frames() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let page = OwnedPage::zeroed(&mut MaySleep::in_test()).ok_or(ENOMEM)?;
        for flags in [
            bits::PRESENT,
            bits::PRESENT | bits::RW | bits::NX | bits::DIRTY,
        ] {
            let pseudo = PseudoEntry::new(page.pfn(), Protection::from_raw(flags));
            let machine = convert::to_machine(pseudo);
            assert!(machine.mfn().raw() != 0);
            assert_eq!(convert::to_pseudo(machine), pseudo);
        }
        Ok(())
    }

    #[test]
    fn entries_that_are_not_present_are_left_alone() {
        for word in [0, bits::RW, usize::MAX & !bits::PRESENT, 0x1234_5000] {
            let pseudo = PseudoEntry::from_raw(word);
            assert_eq!(convert::to_machine(pseudo).raw(), word);
            assert_eq!(convert::to_pseudo(MachineEntry::from_raw(word)).raw(), word);
        }
    }

    #[test]
    fn frames_without_a_page_are_shown_as_themselves() {
        if kunit::skip_without_xen() {
            return;
        }
        // The frame of all ones is never RAM, and it is beyond the m2p table. Frames beyond the
        // list are identity frames.
        let nobody = MachineEntry::from_raw(bits::FRAME | bits::PRESENT | bits::RW);
        assert_eq!(convert::to_pseudo(nobody).pfn().raw(), bits::FRAME >> 12);
    }

    #[test]
    fn missing_frames_are_not_mapped() {
        if kunit::skip_without_xen() {
            return;
        }
        let last_frame = list::with_list(CallContext::in_test(), |list| list.last_frame);
        let pfn = Pfn::new(layout::round_to_leaves(last_frame));
        if pfn.raw() >= xen_p2m_size.get() {
            return kunit::skip(c"the list has all its pages");
        }
        let mut sleep = MaySleep::in_test();
        let before = p2m::word(pfn);
        let entry = PseudoEntry::new(pfn, Protection::from_raw(bits::PRESENT));
        let is_set = p2m::grow::set(pfn, P2mWord::MISSING, &mut sleep).is_ok();
        let missing = convert::to_machine(entry);
        let is_restored = p2m::grow::set(pfn, before, &mut sleep).is_ok();

        assert!(is_set && is_restored);
        assert_eq!(missing, MachineEntry::EMPTY);
        assert!(p2m::word(pfn) == before);
    }
}
