// SPDX-License-Identifier: GPL-2.0

//! Tests of the live p2m list.

#![forbid(unsafe_code)]

#[kernel::macros::kunit_tests(xen_pv_mmu_p2m)]
mod live_list {
    use crate::addr::Index;
    use crate::convert;
    use crate::entry::{
        bits,
        MachineEntry,
        Protection,
        PseudoEntry, //
    };
    use crate::frame::{
        Mfn,
        P2mEntry,
        P2mWord,
        Pfn, //
    };
    use crate::p2m::build::Shared;
    use crate::p2m::{
        self,
        grow,
        layout, //
    };
    use crate::platform::{
        is_pv_domain,
        xen_max_p2m_pfn,
        xen_p2m_size,
        Caller,
        MaySleep,
        OwnedPage,
        SharedP2m,
        StartInfo, //
    };
    use kernel::prelude::*;

    #[test]
    fn frames_of_the_domain_map_back() {
        if !is_pv_domain() {
            return;
        }
        let mut local = 0;
        for pfn in (0..StartInfo::nr_pages()).map(Pfn::new) {
            if let P2mEntry::Local(mfn) = p2m::word(pfn).decode() {
                local += 1;
                if p2m::pfn_of(mfn) != Some(pfn) {
                    // Remapped device memory has an entry, but its m2p entry says nothing.
                    assert_eq!(p2m::pfn_of(mfn), None);
                }
            }
        }
        assert!(local > StartInfo::nr_pages() / 2);
    }

    #[test]
    fn lookups_at_the_borders() {
        if !is_pv_domain() {
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
        // The tail of the last page with frames, and everything up to the end of the list.
        let end = StartInfo::nr_pages();
        for pfn in [end.next_multiple_of(512), size - 1].map(Pfn::new) {
            if pfn.raw() < size {
                let entry = p2m::word(pfn).decode();
                assert!(matches!(
                    entry,
                    P2mEntry::Missing | P2mEntry::Identity | P2mEntry::Local(_)
                ));
            }
        }
    }

    #[test]
    fn shared_pages_hold_nothing_but_ones() -> Result {
        if !is_pv_domain() {
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
        if !is_pv_domain() {
            return Ok(());
        }
        // The first whole page behind what the list has pages of its own for.
        let last_frame = grow::with_list(Caller::in_test(), |list| list.last_frame);
        let start = Pfn::new(layout::round_to_leaves(last_frame));
        if start.raw() + layout::FRAMES_PER_LEAF > xen_p2m_size.get() {
            return Ok(());
        }
        let mut sleep = MaySleep::in_test();
        let generation = SharedP2m::generation();
        let foreign = P2mEntry::Foreign(Mfn::new(0x1234));
        let before = p2m::word(start).decode();
        assert!(matches!(before, P2mEntry::Missing | P2mEntry::Identity));
        assert!(!p2m::try_set(start, P2mWord::encode(start, foreign)));
        assert!(p2m::set(start, P2mWord::encode(start, foreign), &mut sleep));

        assert_eq!(p2m::word(start).decode(), foreign);
        assert_eq!(p2m::word(start.add(1)).decode(), before);
        assert_eq!(p2m::word(start.add(511)).decode(), before);
        assert_eq!(SharedP2m::generation() % 2, 0);
        assert!(SharedP2m::generation() > generation);
        assert!(grow::with_list(Caller::in_test(), |list| list.last_frame) > start.raw());

        // Growing again changes nothing.
        let generation = SharedP2m::generation();
        assert!(grow::grow(start, &mut sleep).is_ok());
        assert_eq!(SharedP2m::generation(), generation);
        assert!(p2m::set(start, P2mWord::encode(start, before), &mut sleep));
        assert_eq!(p2m::word(start).decode(), before);
        Ok(())
    }

    #[test]
    fn list_cannot_grow_beyond_its_end() {
        if !is_pv_domain() {
            return;
        }
        let mut sleep = MaySleep::in_test();
        let end = Pfn::new(xen_max_p2m_pfn.get());
        assert!(grow::grow(end, &mut sleep).is_err());
        assert!(!p2m::set(end, P2mWord::from_raw(1), &mut sleep));
    }

    #[test]
    fn conversions_are_inverse_on_own_frames() -> Result {
        if !is_pv_domain() {
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
    fn frames_of_nobody_are_not_shown() {
        if !is_pv_domain() {
            return;
        }
        // The frame of all ones is never RAM, and beyond the m2p table.
        let nobody = MachineEntry::from_raw(bits::FRAME | bits::PRESENT | bits::RW);
        let shown = convert::to_pseudo(nobody);
        // Beyond the list frames are identity frames: it is shown as itself.
        assert_eq!(shown.pfn().raw(), bits::FRAME >> 12);
        let foreign = Pfn::new(xen_p2m_size.get() - 1);
        assert!(!PseudoEntry::new(foreign, Protection::from_raw(0)).is_present());
        if p2m::word(foreign).is_missing() {
            let entry = PseudoEntry::new(foreign, Protection::from_raw(bits::PRESENT));
            assert_eq!(convert::to_machine(entry), MachineEntry::EMPTY);
        }
    }
}
