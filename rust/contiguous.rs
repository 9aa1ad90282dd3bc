// SPDX-License-Identifier: GPL-2.0

//! Gives drivers memory that is contiguous for devices, and takes it back.
//!
//! Neighbouring pseudo-physical frames have any machine frames. For DMA the frames of a region are
//! exchanged with Xen for one machine extent, or the other way round: the mappings are taken away,
//! since Xen only takes frames that nobody refers to, the frames are exchanged, and the new ones
//! are mapped in their place. If Xen declines, the old frames are mapped again.

use crate::addr::{
    Paddr,
    Vaddr,
    PAGE_SIZE, //
};
use crate::entry::MachineEntry;
use crate::frame::{
    Mfn,
    P2mWord, //
};
use crate::multicall::{
    Batch,
    Issue, //
};
use crate::p2m;
use crate::platform::{
    clear_pages,
    die,
    direct,
    exchange,
    kernel_rw,
    phys,
    Caller,
    IrqLock,
    VaFlush,
    WordArray, //
};

/// Order of the regions that can always be exchanged, without allocating for it: 2 MiB.
const SMALL_ORDER: u32 = 9;

/// Order up to which regions are exchanged: Xen's highest limit (`memop-max-order`).
const MAX_ORDER: u32 = 18;

/// The exchange did not take place; everything is as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotExchanged;

/// Frames of small regions, for when there is no memory or no way to sleep; its lock keeps
/// exchanges from interfering with each other.
// SAFETY: `init()` is called from `init_after_bootmem`, before there are drivers.
static SMALL_FRAMES: IrqLock<Option<WordArray>> = unsafe { IrqLock::new(None) };

/// Gets ready.
///
/// # Safety
///
/// Called once, when the page allocator is up, before any other function of this module.
pub(crate) unsafe fn init() {
    // SAFETY: By the contract of this function.
    unsafe { SMALL_FRAMES.init(c"xen_contiguous_frames", kernel::static_lock_class!()) };
    let Some(frames) = WordArray::new(1 << SMALL_ORDER) else {
        die(c"no memory for the frames of contiguous regions");
    };
    SMALL_FRAMES.with(|small| *small = Some(frames));
}

/// Runs `section` with interrupts off on an array for the frames of a region of `order`.
///
/// Small regions use the array that is there. For others one is allocated before the lock is
/// taken, in a way that does not sleep: callers may be in any context.
fn with_frames<R>(order: u32, section: impl FnOnce(&mut [usize]) -> R) -> Result<R, NotExchanged> {
    let count = 1usize << order;

    if order <= SMALL_ORDER {
        return SMALL_FRAMES.with(|small| match small {
            Some(frames) => Ok(section(&mut frames.words()[..count])),
            None => Err(NotExchanged),
        });
    }
    let mut frames = WordArray::new(count).ok_or(NotExchanged)?;
    SMALL_FRAMES.with(|_| Ok(section(&mut frames.words()[..count])))
}

fn pages(start: Vaddr, count: usize) -> impl Iterator<Item = Vaddr> {
    (0..count).map(move |page| start.add(page * PAGE_SIZE))
}

fn mfn_at(page: Vaddr) -> Option<Mfn> {
    p2m::mfn_of(phys(page).pfn())
}

/// Takes away the mappings and the p2m entries of a region.
fn unmap(start: Vaddr, count: usize, caller: Caller) {
    let mut batch = Batch::open(Issue::Now, caller);
    for page in pages(start, count) {
        batch.update_va(page, MachineEntry::EMPTY, VaFlush::None);
        p2m::try_set(phys(page).pfn(), P2mWord::MISSING);
    }
}

/// Maps machine frames at a region, and flushes what other CPUs know of it.
fn map(start: Vaddr, count: usize, mfn: impl Fn(usize) -> Mfn, caller: Caller) {
    let mut batch = Batch::open(Issue::Now, caller);
    for (index, page) in pages(start, count).enumerate() {
        let flush = match (index + 1 == count, count) {
            (false, _) => VaFlush::None,
            (true, 1) => VaFlush::PageAll,
            (true, _) => VaFlush::All,
        };
        let mfn = mfn(index);
        batch.update_va(page, MachineEntry::new(mfn, kernel_rw()), flush);
        p2m::try_set(phys(page).pfn(), P2mWord::from_raw(mfn.raw()));
    }
}

fn exchange_or_die(
    frames_in: &mut [usize],
    order_in: u32,
    frames_out: &mut [usize],
    order_out: u32,
    address_bits: u32,
) -> bool {
    match exchange(frames_in, order_in, frames_out, order_out, address_bits) {
        Some(exchanged) => exchanged,
        None => die(c"XENMEM_exchange was carried out in part"),
    }
}

/// Makes the region of `1 << order` frames at `start` contiguous in machine memory, below
/// `1 << address_bits` bytes (`xen_create_contiguous_region()`).
///
/// The contents of the region are lost. Returns where it is for devices; on failure, the region
/// has the frames that it had.
///
/// Context: any; a region larger than 2 MiB needs memory for the exchange.
pub(crate) fn create(
    start: Paddr,
    order: u32,
    address_bits: u32,
    caller: Caller,
) -> Result<Mfn, NotExchanged> {
    if order > MAX_ORDER {
        return Err(NotExchanged);
    }
    let count = 1usize << order;
    let region = direct(start);
    // SAFETY: The caller gives the region away for the exchange.
    unsafe { clear_pages(region, count) };

    with_frames(order, |frames| {
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

/// Gives the contiguous machine memory of a region back to Xen for any frames
/// (`xen_destroy_contiguous_region()`).
///
/// The contents of the region are lost. If Xen has no other frames, it stays as it is.
///
/// Context: as [`create`].
pub(crate) fn destroy(start: Paddr, order: u32, caller: Caller) {
    if order > MAX_ORDER {
        return;
    }
    let count = 1usize << order;
    let region = direct(start);
    // SAFETY: The caller gives the region away for the exchange.
    unsafe { clear_pages(region, count) };

    let done = with_frames(order, |frames| {
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
