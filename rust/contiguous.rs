// SPDX-License-Identifier: GPL-2.0-only

//! Makes regions of memory contiguous in machine memory, for DMA, and gives them back.
//!
//! The machine frames of neighbouring pseudo-physical frames may be anywhere. For DMA, the frames
//! of a region are exchanged with Xen for one machine extent, and later back. Xen only takes frames
//! without references, so the region is unmapped first. Then the frames are exchanged and the new
//! ones are mapped. If Xen refuses, the old frames are mapped again.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::level::PAGE_SIZE;
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::p2m_word::P2mWord;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::cpu::lock::IrqLock;
use crate::platform::diag::report;
use crate::platform::kernel::address;
use crate::platform::paging::pages::WordArray;
use crate::platform::paging::region::Region;
use crate::platform::xen::abi::VaFlush;
use crate::platform::xen::hypercall;
use kernel::macros::init_text;

/// Order of the largest regions that can be exchanged without an allocation: 2 MiB.
const SMALL_ORDER: u32 = 9;

/// Order of the largest regions that can be exchanged: Xen's highest limit (`memop-max-order`).
const MAX_ORDER: u32 = 18;

/// The exchange did not take place; everything is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotExchanged;

/// Arrays for the frames of a region.
struct Arrays {
    /// For small regions: dom0 exchanges its bounce buffers before there is a page allocator.
    small: [usize; 1 << SMALL_ORDER],
    /// For larger regions, allocated when it is first needed. It is kept, so that giving a region
    /// back needs no memory.
    large: Option<WordArray>,
}

impl Arrays {
    /// Returns an array of `count` words, if there is one that large.
    fn first(&mut self, count: usize) -> Option<&mut [usize]> {
        if count <= self.small.len() {
            return self.small.get_mut(..count);
        }
        self.large.as_mut()?.words().get_mut(..count)
    }
}

/// The arrays; their lock keeps exchanges from interfering with each other.
static ARRAYS: IrqLock<Arrays> = IrqLock::new(
    c"xen_contiguous_frames",
    Arrays {
        small: [0; 1 << SMALL_ORDER],
        large: None,
    },
);

/// Initialises the lock, before any other function of this module is called.
///
/// Context: start of day.
#[init_text]
pub(crate) fn init() {
    ARRAYS.init();
}

/// Runs `section` with interrupts off on an array for the frames of a region of `order`.
///
/// If the arrays are too small, a larger one is allocated before the lock is taken. The allocation
/// does not sleep, because callers may be in any context.
fn with_frames<R>(
    order: u32,
    caller: CallContext<'_>,
    section: impl FnOnce(&mut [usize]) -> R,
) -> Result<R, NotExchanged> {
    let count = 1usize << order;
    // An array that is not used, or that was replaced, is freed after the lock is dropped.
    let mut other = None;

    if order > SMALL_ORDER && ARRAYS.with(caller, |arrays| arrays.first(count).is_none()) {
        other = Some(WordArray::new(count).ok_or(NotExchanged)?);
    }
    ARRAYS.with(caller, |arrays| {
        if arrays.first(count).is_none() {
            core::mem::swap(&mut arrays.large, &mut other);
        }
        arrays.first(count).map(section).ok_or(NotExchanged)
    })
}

fn pages(start: Vaddr, count: usize) -> impl Iterator<Item = Vaddr> {
    (0..count).map(move |page| start.add(page * PAGE_SIZE))
}

fn mfn_at(page: Vaddr) -> Option<Mfn> {
    p2m::mfn_of(address::virt_to_phys(page).pfn())
}

/// Clears the mappings and the p2m entries of a region.
fn unmap(start: Vaddr, count: usize, caller: CallContext<'_>) {
    let mut batch = Batch::open(Issue::Now, caller);
    for page in pages(start, count) {
        batch.update_va(page, MachineEntry::EMPTY, VaFlush::None);
        p2m::try_set(address::virt_to_phys(page).pfn(), P2mWord::MISSING);
    }
}

/// Maps machine frames at a region, and flushes it from the TLBs of all CPUs.
fn map(start: Vaddr, count: usize, mfn: impl Fn(usize) -> Mfn, caller: CallContext<'_>) {
    let mut batch = Batch::open(Issue::Now, caller);
    for (index, page) in pages(start, count).enumerate() {
        let flush = match (index + 1 == count, count) {
            (false, _) => VaFlush::None,
            (true, 1) => VaFlush::PageAll,
            (true, _) => VaFlush::All,
        };
        let mfn = mfn(index);
        batch.update_va(page, MachineEntry::new(mfn, address::kernel_rw()), flush);
        p2m::try_set(
            address::virt_to_phys(page).pfn(),
            P2mWord::from_raw(mfn.raw()),
        );
    }
}

fn exchange_or_die(
    frames_in: &mut [usize],
    order_in: u32,
    frames_out: &mut [usize],
    order_out: u32,
    address_bits: u32,
) -> bool {
    match hypercall::exchange(frames_in, order_in, frames_out, order_out, address_bits) {
        Some(exchanged) => exchanged,
        None => report::die(c"XENMEM_exchange was carried out in part"),
    }
}

/// Makes `region` contiguous in machine memory, below `1 << address_bits` bytes
/// (`xen_create_contiguous_region()`).
///
/// The contents of the region are lost. Returns its first machine frame. On failure the region
/// keeps its frames.
///
/// Context: any but NMIs. The first region of a size above 2 MiB needs an allocation, which does
/// not sleep.
pub(crate) fn create(
    mut region: Region<'_>,
    address_bits: u32,
    caller: CallContext<'_>,
) -> Result<Mfn, NotExchanged> {
    let (start, order) = (region.start(), region.order());
    if order > MAX_ORDER {
        return Err(NotExchanged);
    }
    region.clear();
    let count = 1usize << order;
    let region = address::phys_to_virt(start);

    with_frames(order, caller, |frames| {
        for (frame, page) in frames.iter_mut().zip(pages(region, count)) {
            *frame = mfn_at(page).ok_or(NotExchanged)?.raw();
        }
        unmap(region, count, caller);

        let mut extent = [start.pfn().raw()];
        if exchange_or_die(frames, 0, &mut extent, order, address_bits) {
            let first = Mfn::new(extent[0]);
            map(region, count, |index| first.add(index), caller);
            Ok(first)
        } else {
            map(region, count, |index| Mfn::new(frames[index]), caller);
            Err(NotExchanged)
        }
    })?
}

/// Exchanges the contiguous machine memory of `region` with Xen for any other frames
/// (`xen_destroy_contiguous_region()`).
///
/// The contents of the region are lost. If Xen has no other frames, the region stays contiguous.
///
/// Context: as [`create`].
pub(crate) fn destroy(mut region: Region<'_>, caller: CallContext<'_>) {
    let (start, order) = (region.start(), region.order());
    if order > MAX_ORDER {
        return;
    }
    region.clear();
    let count = 1usize << order;
    let region = address::phys_to_virt(start);

    let done = with_frames(order, caller, |frames| {
        let Some(first) = mfn_at(region) else {
            return;
        };
        for (index, frame) in frames.iter_mut().enumerate() {
            *frame = start.pfn().add(index).raw();
        }
        unmap(region, count, caller);

        let mut extent = [first.raw()];
        if exchange_or_die(&mut extent, order, frames, 0, 0) {
            map(region, count, |index| Mfn::new(frames[index]), caller);
        } else {
            map(region, count, |index| first.add(index), caller);
        }
    });
    if done.is_err() {
        kernel::pr_info!(
            "contiguous region of order {} at {:#x} is kept: no memory to give it back\n",
            order,
            start.raw()
        );
    }
}

#[cfg(CONFIG_XEN_PV_MMU_RUST_KUNIT_TEST)]
#[kernel::macros::kunit_tests(xen_pv_mmu_contiguous)]
mod tests {
    use super::*;
    use crate::addr::Paddr;
    use crate::p2m_word::P2mEntry;
    use crate::platform::diag::kunit;
    use crate::platform::early::start_of_day::StartInfo;
    use crate::platform::paging::pages::OwnedRegion;
    use kernel::prelude::*;

    /// The largest order that Xen allows by default for a guest without devices.
    const GUEST_ORDER: u32 = 9;

    /// Whether Xen may refuse a region of `order` to this domain.
    fn is_beyond_guests(order: u32) -> bool {
        order > GUEST_ORDER && !StartInfo::is_initial_domain()
    }

    /// Returns how many frames of a region do not map back to themselves.
    fn inconsistent(start: Paddr, count: usize) -> usize {
        (0..count)
            .map(|index| start.pfn().add(index))
            .filter(|pfn| match p2m::word(*pfn).decode() {
                P2mEntry::Local(mfn) => p2m::pfn_of(mfn) != Some(*pfn),
                _ => true,
            })
            .count()
    }

    #[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
    fn frames(start: Paddr, count: usize) -> Result<KVec<Option<Mfn>>> {
        let mut frames = KVec::with_capacity(count, GFP_KERNEL)?;
        for index in 0..count {
            frames.push(p2m::mfn_of(start.pfn().add(index)), GFP_KERNEL)?;
        }
        Ok(frames)
    }

    #[test]
    fn regions_become_contiguous_and_are_given_back() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        // Below, at and above the largest order that needs no allocation.
        for order in [0, 1, SMALL_ORDER, SMALL_ORDER + 1] {
            let count = 1usize << order;
            let mut memory = OwnedRegion::new(order).ok_or(ENOMEM)?;
            let start = memory.region().start();

            let created = create(memory.region(), 0, CallContext::in_test());
            if created.is_err() && is_beyond_guests(order) {
                assert_eq!(inconsistent(start, count), 0);
                assert_eq!(memory.nr_lost_words(), 0);
                continue;
            }
            assert!(created.is_ok());
            let first = created.map_err(|_| ENOMEM)?;
            let in_order = (0..count)
                .filter(|index| p2m::mfn_of(start.pfn().add(*index)) == Some(first.add(*index)))
                .count();
            assert_eq!(in_order, count);
            assert_eq!(inconsistent(start, count), 0);
            assert_eq!(memory.nr_lost_words(), 0);

            destroy(memory.region(), CallContext::in_test());
            assert_eq!(inconsistent(start, count), 0);
            assert_eq!(memory.nr_lost_words(), 0);
        }
        Ok(())
    }

    #[test]
    fn refused_exchange_changes_nothing() -> Result {
        if kunit::skip_without_xen() {
            return Ok(());
        }
        let mut memory = OwnedRegion::new(1).ok_or(ENOMEM)?;
        let start = memory.region().start();
        let before = [0, 1].map(|index| p2m::mfn_of(start.pfn().add(index)));

        // Xen has no free memory below 4 KiB.
        assert!(create(memory.region(), 12, CallContext::in_test()).is_err());
        let after = [0, 1].map(|index| p2m::mfn_of(start.pfn().add(index)));
        assert_eq!(before, after);
        assert_eq!(memory.nr_lost_words(), 0);
        Ok(())
    }

    #[cfg(CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION)]
    #[test]
    fn failed_exchange_changes_nothing() -> Result {
        use crate::platform::diag::fault::{
            Armed,
            Fault, //
        };

        if kunit::skip_without_xen() {
            return Ok(());
        }
        // The first of the larger regions needs an allocation.
        ARRAYS.with(CallContext::in_test(), |arrays| arrays.large.take());
        for (kind, order) in [
            (Fault::Exchange, 0),
            (Fault::Exchange, SMALL_ORDER),
            (Fault::Alloc, SMALL_ORDER + 1),
            (Fault::Exchange, SMALL_ORDER + 1),
        ] {
            let count = 1usize << order;
            let mut memory = OwnedRegion::new(order).ok_or(ENOMEM)?;
            let start = memory.region().start();

            let before = frames(start, count)?;
            let armed = Armed::new(kind, 0, 1, 12);
            let created = create(memory.region(), 0, CallContext::in_test());
            assert_eq!((created, armed.disarm()), (Err(NotExchanged), 1));
            assert!(frames(start, count)?[..] == before[..]);
            assert_eq!(memory.nr_lost_words(), 0);

            let created = create(memory.region(), 0, CallContext::in_test());
            if created.is_err() && is_beyond_guests(order) {
                assert!(frames(start, count)?[..] == before[..]);
                continue;
            }
            assert!(created.is_ok());
            let contiguous = frames(start, count)?;
            let armed = Armed::new(Fault::Exchange, 0, 1, 12);
            destroy(memory.region(), CallContext::in_test());
            assert_eq!(armed.disarm(), 1);
            assert!(frames(start, count)?[..] == contiguous[..]);
            assert_eq!(memory.nr_lost_words(), 0);

            destroy(memory.region(), CallContext::in_test());
            assert_eq!(inconsistent(start, count), 0);
        }
        Ok(())
    }
}
