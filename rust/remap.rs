// SPDX-License-Identifier: GPL-2.0-only

//! Maps frames of other domains into a process, for the toolstack (`xen_remap_pfn()`).

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Vaddr, //
};
use crate::entry::{
    MachineEntry,
    Protection, //
};
use crate::level::PAGE_SIZE;
use crate::p2m;
use crate::platform::cpu::call_context::MaySleep;
use crate::platform::cpu::context;
use crate::platform::kernel::address;
use crate::platform::kernel::error::KernelError;
use crate::platform::kernel::frame_list::FrameList;
use crate::platform::kernel::mm::{
    self,
    Vma, //
};
use crate::platform::xen::abi::{
    Command,
    DomId,
    MmuUpdate, //
};
use crate::platform::xen::hypercall;
use crate::tlb;

/// How many frames one hypercall maps.
const BATCH: usize = 16;

/// The machine frames to map, and where their results go.
pub(crate) enum Frames<'a> {
    /// Consecutive frames; the first error ends the operation.
    Contiguous(Mfn),
    /// Any frames, each with a result: a negative errno, or 0 if it was mapped.
    ///
    /// Frames and results may be the same memory: a batch of frames is read before its results are
    /// stored.
    Listed(&'a FrameList),
}

impl Frames<'_> {
    fn mfn(&self, index: usize) -> Mfn {
        match self {
            Frames::Contiguous(first) => first.add(index),
            Frames::Listed(list) => list.frame(index),
        }
    }

    /// Stores the result of a frame; returns an error if the operation ends here.
    fn report(&self, index: usize, result: Result<(), KernelError>) -> Result<(), KernelError> {
        match self {
            Frames::Contiguous(_) => result,
            Frames::Listed(list) => {
                list.set_result(index, result.map_or_else(KernelError::errno, |()| 0));
                Ok(())
            }
        }
    }
}

/// How the frames are mapped.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    /// Protection of the pages.
    pub(crate) protection: Protection,
    /// Number of the domain that owns the frames.
    pub(crate) domid: DomId,
    /// How entries are changed.
    pub(crate) command: Command,
}

/// The result of the frames so far.
struct Outcome {
    /// How many were mapped.
    mapped: usize,
    /// The result of the last one.
    last: Result<(), KernelError>,
}

/// Maps `count` frames at `start` in `vma`.
///
/// Returns how many frames were mapped, or the error of the last frame. That error cannot be left
/// to the results alone: `privcmd` looks at no more results than frames were mapped.
///
/// Context: may sleep; the caller holds the `mmap_lock` of the address space of `vma` for reading.
pub(crate) fn map(
    vma: Vma,
    start: Vaddr,
    count: usize,
    frames: &Frames<'_>,
    mapping: Mapping,
    sleep: &mut MaySleep,
) -> Result<usize, KernelError> {
    let mut outcome = Outcome {
        mapped: 0,
        last: Ok(()),
    };
    let mut result = Ok(());

    for first in (0..count).step_by(BATCH) {
        let batch = BATCH.min(count - first);
        result = map_batch(vma, start, first, batch, frames, mapping, &mut outcome);
        if result.is_err() {
            break;
        }
        context::cond_resched(sleep);
    }
    tlb::flush_all(sleep.caller());
    result.and(outcome.last).map(|()| outcome.mapped)
}

fn map_batch(
    vma: Vma,
    start: Vaddr,
    first: usize,
    count: usize,
    frames: &Frames<'_>,
    mapping: Mapping,
    outcome: &mut Outcome,
) -> Result<(), KernelError> {
    let mut updates = [MmuUpdate::NONE; BATCH];
    let protection = address::massage_pgprot(mapping.protection);
    let mut next = 0;

    mm::for_each_level1_entry(
        vma,
        start.add(first * PAGE_SIZE),
        count * PAGE_SIZE,
        |ptr| {
            let entry = MachineEntry::new(frames.mfn(first + next), protection)
                .with(crate::entry::bits::SPECIAL);
            updates[next] =
                MmuUpdate::new(mapping.command, p2m::machine_address(ptr.vaddr()), entry);
            next += 1;
        },
    )?;

    let mut index = 0;
    while index < next {
        let (done, error) =
            match hypercall::mmu_update(&mut updates[index..next], mapping.domid.raw()) {
                Ok(()) => (next - index, None),
                Err((error, done)) => (done, Some(error)),
            };
        for ok in index..index + done {
            frames.report(first + ok, Ok(()))?;
        }
        outcome.mapped += done;
        outcome.last = error.map_or(Ok(()), |error| Err(KernelError::from(error)));
        index += done;
        if error.is_some() {
            frames.report(first + index, outcome.last)?;
            index += 1;
        }
    }
    Ok(())
}
