// SPDX-License-Identifier: GPL-2.0-only

//! Ranges that are not RAM and that had to move in pseudo-physical memory.
//!
//! If such a range, for example of ACPI tables, is where Xen has put the kernel, setup.c moves it
//! to another pseudo-physical address. ACPI still uses its machine address, which is translated
//! when ACPI maps memory.

#![forbid(unsafe_code)]

use crate::addr::{
    Maddr,
    Paddr, //
};
use crate::level::pages_for;
use crate::p2m;
use crate::p2m_word::{
    P2mEntry,
    P2mWord, //
};
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::diag::report;
use crate::platform::early::phase::Early;
use crate::platform::early::start_of_day::{
    self,
    BootCell, //
};
use kernel::macros::init_text;

/// How many ranges can move.
pub(crate) const MAX_REMAPS: usize = 4;

/// A range that moved.
///
/// Context: any, for all methods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Remap {
    /// Where it is in machine memory, which is the address that ACPI uses.
    pub(crate) machine: Maddr,
    /// Where it has moved to.
    pub(crate) pseudo: Paddr,
    /// Size in bytes.
    pub(crate) bytes: usize,
}

impl Remap {
    /// Translates machine address `start` of `bytes` bytes if they overlap the range. Also returns
    /// whether they are within the range.
    pub(crate) fn translate(&self, start: Maddr, bytes: usize) -> Option<(Paddr, bool)> {
        let (own_start, start) = (self.machine.raw(), start.raw());
        let end = start.checked_add(bytes)?;
        let own_end = own_start.checked_add(self.bytes)?;
        if end <= own_start || start >= own_end {
            return None;
        }
        let is_within = start >= own_start && end <= own_end;
        let moved = start
            .wrapping_sub(own_start)
            .wrapping_add(self.pseudo.raw());
        Some((Paddr::new(moved), is_within))
    }

    /// Returns how many frames the range is in.
    pub(crate) fn nr_frames(&self) -> usize {
        pages_for(self.pseudo.offset() + self.bytes)
    }
}

/// The ranges that moved.
#[derive(Clone, Copy)]
struct Remaps {
    ranges: [Remap; MAX_REMAPS],
    len: usize,
}

static REMAPS: BootCell<Remaps> = BootCell::new(Remaps {
    ranges: [Remap {
        machine: Maddr::new(0),
        pseudo: Paddr::new(0),
        bytes: 0,
    }; MAX_REMAPS],
    len: 0,
});

/// Notes that a range moves (`xen_add_remap_nonram()`).
///
/// Stops the boot if the range moves by a part of a page, or if too many ranges move.
///
/// Context: start of day, while setup.c compares the E820 map with the kernel.
#[init_text]
pub(crate) fn add(early: Early, remap: Remap) {
    let mut remaps = REMAPS.get();

    if remap.machine.offset() != remap.pseudo.offset() {
        report::die(c"a range that is not RAM moves by a part of a page");
    }
    let Some(place) = remaps.ranges.get_mut(remaps.len) else {
        report::raw_console(
            c"Number of required E820 entry remapping actions exceed maximum value\n",
        );
        report::die(c"too many ranges that are not RAM lie where Xen put the kernel");
    };
    *place = remap;
    if remaps.len == 0 {
        start_of_day::hook_acpi_mappings(early, translate);
    }
    remaps.len += 1;
    REMAPS.set(early, remaps);
}

/// Enters the ranges that moved into the p2m list (`xen_do_remap_nonram()`).
///
/// Context: start of day, with the p2m list in the vmalloc area.
#[init_text]
pub(crate) fn apply(sleep: &mut MaySleep) {
    let remaps = REMAPS.get();
    let mut pages = 0;

    for remap in &remaps.ranges[..remaps.len] {
        for frame in 0..remap.nr_frames() {
            let (pfn, mfn) = (
                remap.pseudo.pfn().add(frame),
                remap.machine.mfn().add(frame),
            );
            let word = P2mWord::encode(pfn, P2mEntry::Local(mfn));
            if p2m::grow::set(pfn, word, sleep).is_err() {
                kernel::pr_emerg!("no p2m entry for frame {:#x}\n", pfn.raw());
                report::die(c"a range that is not RAM could not be remapped");
            }
        }
        pages += remap.nr_frames();
    }
    if pages != 0 {
        kernel::pr_info!("Remapped {} non-RAM page(s)\n", pages);
    }
}

/// Translates the start of a range that ACPI maps.
///
/// Context: any.
pub(crate) fn translate(start: Maddr, bytes: usize) -> Paddr {
    let remaps = REMAPS.get();

    for remap in &remaps.ranges[..remaps.len] {
        if let Some((moved, is_within)) = remap.translate(start, bytes) {
            if !is_within && report::may_report() {
                kernel::pr_warn!(
                    "ACPI maps {:#x} bytes at {:#x} across the border of a range that moved\n",
                    bytes,
                    start.raw()
                );
            }
            return moved;
        }
    }
    // What has not moved is an identity frame.
    Paddr::new(start.raw())
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_nonram)]
mod tests {
    use super::*;

    const MOVED: Remap = Remap {
        machine: Maddr::new(0x10_0800),
        pseudo: Paddr::new(0x80_0800),
        bytes: 0x1800,
    };

    fn translate(start: usize, bytes: usize) -> Option<(usize, bool)> {
        let moved = MOVED.translate(Maddr::new(start), bytes);
        moved.map(|(moved, is_within)| (moved.raw(), is_within))
    }

    #[test]
    fn ranges_outside_are_left_alone() {
        assert_eq!(translate(0x10_0000, 0x800), None);
        assert_eq!(translate(0x10_2000, 0x800), None);
        assert_eq!(translate(usize::MAX - 1, 2), None);
    }

    #[test]
    fn ranges_inside_move() {
        assert_eq!(translate(0x10_0800, 0x1800), Some((0x80_0800, true)));
        assert_eq!(translate(0x10_1fff, 1), Some((0x80_1fff, true)));
    }

    #[test]
    fn ranges_across_the_border_are_reported() {
        assert_eq!(translate(0x10_07ff, 2), Some((0x80_07ff, false)));
        assert_eq!(translate(0x10_1fff, 2), Some((0x80_1fff, false)));
    }

    #[test]
    fn frames_cover_all_bytes() {
        assert_eq!(MOVED.nr_frames(), 2);
        let crossing = Remap {
            bytes: 0x1801,
            ..MOVED
        };
        assert_eq!(crossing.nr_frames(), 3);
    }
}
