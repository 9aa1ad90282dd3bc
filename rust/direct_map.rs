// SPDX-License-Identifier: GPL-2.0-only

//! Changes how single pages of the direct map and of the kernel image are mapped.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Pfn,
    Vaddr, //
};
use crate::convert;
use crate::entry::{
    bits,
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::multicall::Batch;
use crate::platform::cpu::call_context::CallContext;
use crate::platform::diag::report;
use crate::platform::kernel::address;
use crate::platform::paging::entry_ptr;
use crate::platform::xen::abi::VaFlush;
use crate::platform::xen::hypercall;
use crate::platform::xen::refusal::Refusal;
use core::ffi::CStr;
use kernel::macros::init_text;

const CALL: &CStr = c"update_va_mapping";

/// Changes the flags of the entry that maps `page`; does nothing if the page is not mapped.
///
/// Before the direct map is built, the tables of the p2m list may not be mapped. The direct map
/// then maps them read-only from the start.
fn change(page: Vaddr, caller: CallContext<'_>, flags: impl FnOnce(MachineEntry) -> MachineEntry) {
    let Some((ptr, _)) = entry_ptr::lookup_address(page) else {
        return;
    };
    let old = ptr.read();
    if !old.is_present() {
        return;
    }
    let new = flags(old);
    if let Err(error) = hypercall::update_va_mapping(page, new, VaFlush::None) {
        let refusal = Refusal {
            what: CALL,
            target: page.raw(),
            value: new.raw(),
        };
        report::report_refusal(&refusal, error.errno(), caller.site());
        report::die_refused(
            c"Xen refused to change the protection of a page",
            CALL,
            page.raw(),
            error,
        );
    }
}

/// Makes the page at `page` read-only (`make_lowmem_page_readonly()`).
///
/// Context: any but interrupts; the page is not remapped meanwhile.
pub(crate) fn make_readonly(page: Vaddr, caller: CallContext<'_>) {
    // A read-only dirty entry marks a shadow stack. PV guests have none, but generic code that
    // looks at the entry could take it for one.
    change(page, caller, |entry| entry.without(bits::RW | bits::DIRTY));
}

/// Makes the page at `page` writable (`make_lowmem_page_readwrite()`).
///
/// Context: any but interrupts; the page is not remapped meanwhile.
pub(crate) fn make_readwrite(page: Vaddr, caller: CallContext<'_>) {
    change(page, caller, |entry| entry.with(bits::RW));
}

/// Queues to map a page of the direct map with `protection`.
///
/// Context: as [`Batch::update_va`]; the page is not remapped meanwhile.
pub(crate) fn protect(batch: &mut Batch<'_>, pfn: Pfn, protection: Protection, flush: VaFlush) {
    let entry = convert::to_machine(PseudoEntry::new(pfn, protection));
    batch.update_va(address::pfn_to_virt(pfn), entry, flush);
}

/// Maps the page of the kernel image at `page` with `protection`, or stops the boot.
///
/// Context: start of day.
#[init_text]
pub(crate) fn set_early(page: Vaddr, protection: Protection, flush: VaFlush) {
    let entry = convert::to_machine(PseudoEntry::new(
        address::virt_to_phys(page).pfn(),
        protection,
    ));
    if let Err(error) = hypercall::update_va_mapping(page, entry, flush) {
        report::die_refused(
            c"Xen refused to map a page of the kernel",
            CALL,
            page.raw(),
            error,
        );
    }
}

/// Maps machine frame `mfn` at `page`, or stops the boot (`set_pte_mfn()`).
///
/// Context: start of day.
#[init_text]
pub(crate) fn map_machine_early(page: Vaddr, mfn: Mfn, protection: Protection) {
    let entry = MachineEntry::new(mfn, address::massage_pgprot(protection));
    if let Err(error) = hypercall::update_va_mapping(page, entry, VaFlush::PageLocal) {
        report::die_refused(
            c"Xen refused to map a machine frame",
            CALL,
            page.raw(),
            error,
        );
    }
}
