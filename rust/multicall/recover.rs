// SPDX-License-Identifier: GPL-2.0-only

//! Recovers after Xen has refused a call.
//!
//! Xen stops at the first element of an array that it refuses, and goes on with the next call. The
//! elements behind the refused one do not depend on it, so they are carried out here one by one.
//! Refused elements are recorded, and reported when the queue is empty again.
//!
//! The calls behind the array have run before these elements, although they may depend on them: a
//! table that is still pinned cannot be made writable, and TLBs were flushed too early. So the
//! operations of those calls that Xen refused are tried again, and TLBs are flushed once more. An
//! element is skipped if a later call has changed the same entry.
//!
//! Context: the flush of a queue, for all functions here: on its CPU, with interrupts off.

#![forbid(unsafe_code)]

use crate::addr::{
    Maddr,
    Vaddr, //
};
use crate::entry::MachineEntry;
use crate::multicall::queue::Record;
use crate::p2m;
use crate::platform::cpu::call_context::CallSite;
use crate::platform::diag::report;
use crate::platform::paging::entry_ptr;
use crate::platform::xen::abi::{
    number,
    Call,
    ExtOp,
    MmuUpdate,
    VaFlush,
    XenError, //
};
use crate::platform::xen::hypercall;
use crate::platform::xen::refusal::{
    Refusable,
    Refusal, //
};

/// An operation that Xen refused.
#[derive(Clone, Copy)]
struct Report {
    refusal: Refusal,
    error: isize,
    by: CallSite,
}

/// How many refused operations of a flush are reported one by one.
const MAX_REPORTS: usize = 8;

/// The reports of a flush.
pub(super) struct Reports {
    reports: [Option<Report>; MAX_REPORTS],
    total: usize,
    /// Whether operations were carried out later than calls behind them.
    late: bool,
}

impl Reports {
    /// Returns no reports.
    pub(super) fn new() -> Self {
        Self {
            reports: [None; MAX_REPORTS],
            total: 0,
            late: false,
        }
    }

    fn note(&mut self, report: Report) {
        if let Some(place) = self.reports.get_mut(self.total) {
            *place = Some(report);
        }
        self.total += 1;
    }

    /// Prints the reports.
    #[cold]
    pub(super) fn print(&self) {
        for report in self.reports.iter().flatten() {
            report::report_refusal(&report.refusal, report.error, report.by);
        }
        if self.total > MAX_REPORTS {
            kernel::pr_err!("{} more operations failed\n", self.total - MAX_REPORTS);
        }
    }
}

/// An element of the array of a call, which can be carried out alone.
pub(super) trait Resumable: Refusable + Copy {
    /// Returns the machine address of the entry that the element changes, if it changes one.
    fn entry_maddr(&self) -> Option<Maddr>;

    /// Carries out this element alone.
    fn carry_out(self) -> Result<(), XenError>;
}

impl Resumable for MmuUpdate {
    fn entry_maddr(&self) -> Option<Maddr> {
        Some(self.entry_maddr())
    }

    fn carry_out(self) -> Result<(), XenError> {
        hypercall::mmu_update_one(self)
    }
}

impl Resumable for ExtOp {
    fn entry_maddr(&self) -> Option<Maddr> {
        None
    }

    fn carry_out(self) -> Result<(), XenError> {
        hypercall::mmuext_op(self)
    }
}

/// Records the refused element of an array, and carries out the elements behind it.
///
/// If operations of earlier calls were late, the refused element is tried again.
///
/// `element` returns an element of the array. `is_overtaken` says whether a later call changes the
/// entry at a machine address.
#[cold]
pub(super) fn resume_array<T: Resumable>(
    record: &Record,
    error: isize,
    reports: &mut Reports,
    element: impl Fn(usize) -> Option<T>,
    is_overtaken: impl Fn(Maddr) -> bool,
) {
    let mut error = (!reports.late).then_some(error);

    for index in record.done as usize..record.value {
        let Some(element) = element(index) else {
            return;
        };
        // The first one is the element that Xen has refused.
        let failed = match error.take() {
            Some(error) => Some(error),
            None if element.entry_maddr().is_some_and(&is_overtaken) => None,
            None => {
                reports.late = true;
                element.carry_out().err().map(XenError::errno)
            }
        };
        if let Some(error) = failed {
            reports.note(Report {
                refusal: element.refusal(),
                error,
                by: record.caller,
            });
        }
    }
}

/// Returns the machine address of the entry that an `update_va_mapping` of `page` changes, if there
/// is such an entry.
pub(super) fn entry_maddr_of(page: usize) -> Option<Maddr> {
    entry_ptr::lookup_address(Vaddr::new(page)).map(|(ptr, _)| p2m::machine_address(ptr.vaddr()))
}

/// Records a refused call that has no array, or carries it out if it was refused only because it
/// was too early.
///
/// `is_overtaken` is that of [`resume_array`].
#[cold]
pub(super) fn single(
    record: &Record,
    call: &Call,
    reports: &mut Reports,
    is_overtaken: impl Fn(Maddr) -> bool,
) {
    let mut error = call.result;
    if reports.late && record.op == number::UPDATE_VA_MAPPING {
        if entry_maddr_of(record.target).is_some_and(is_overtaken) {
            return;
        }
        let entry = MachineEntry::from_raw(record.value);
        // TLBs are flushed in `finish()`.
        match hypercall::update_va_mapping(Vaddr::new(record.target), entry, VaFlush::None) {
            Ok(()) => return,
            Err(refusal) => error = refusal.errno(),
        }
    }
    let (what, target, value) = if record.op == 0 {
        // C code filled in this call. There is no record of it but the call itself, which Xen may
        // have changed.
        (c"hypercall", call.op, call.args[0])
    } else {
        (c"update_va_mapping", record.target, record.value)
    };
    reports.note(Report {
        refusal: Refusal {
            what,
            target,
            value,
        },
        error,
        by: record.caller,
    });
}

/// Flushes TLBs again if operations were late; `by` is the caller in reports.
#[cold]
pub(super) fn finish(reports: &mut Reports, by: CallSite) {
    if !reports.late {
        return;
    }
    let flush = ExtOp::flush_all();
    if let Err(error) = flush.carry_out() {
        reports.note(Report {
            refusal: flush.refusal(),
            error: error.errno(),
            by,
        });
    }
}

/// Stops the kernel: Xen could not read the queue, so not all queued operations took effect.
#[cold]
pub(super) fn unreadable(nr_calls: usize, error: XenError) -> ! {
    kernel::pr_emerg!(
        "multicall of {} calls failed: {}\n",
        nr_calls,
        error.errno()
    );
    report::die(c"Xen could not read the multicall queue")
}
