// SPDX-License-Identifier: GPL-2.0-only

//! Fixed mappings.
//!
//! The index of a fixed mapping decides what its address means. Most map hardware, so the address
//! is a machine address. The early and the vsyscall mappings map memory of the domain, so the
//! address is pseudo-physical. The local APIC and the IO-APICs are not mapped, because the kernel
//! uses them through hypercalls: their fixed mappings map a page of ones.

#![forbid(unsafe_code)]

use crate::addr::{
    Mfn,
    Paddr, //
};
use crate::convert;
use crate::entry::{
    MachineEntry,
    Protection,
    PseudoEntry, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::diag::report;
use crate::platform::kernel::address;
use crate::platform::kernel::fixmap_kind::FixmapKind;
use crate::platform::kernel::kernel_data;
use crate::platform::paging::dummy_page;
use crate::platform::xen::abi::VaFlush;
use crate::platform::xen::hypercall;
use crate::platform::xen::refusal::Refusal;

/// Maps `address` at fixed mapping `index`; the index decides whether the address is
/// pseudo-physical or machine.
///
/// Context: any but interrupts.
pub(crate) fn set(index: u32, address: usize, protection: Protection, caller: CallContext<'_>) {
    let kind = kernel_data::fixmap_kind(index);
    let entry = match kind {
        FixmapKind::Memory | FixmapKind::Vsyscall => convert::to_machine(PseudoEntry::new(
            Paddr::new(address).pfn(),
            address::massage_pgprot(protection),
        )),
        FixmapKind::Apic => convert::to_machine(PseudoEntry::new(
            dummy_page::page().pfn(),
            address::kernel_rw(),
        )),
        FixmapKind::Machine => MachineEntry::new(
            Mfn::new(address >> crate::level::PAGE_SHIFT),
            address::massage_pgprot(protection),
        ),
    };
    let page = address::fix_to_virt(index);

    if let Err(error) = hypercall::update_va_mapping(page, entry, VaFlush::PageLocal) {
        let refusal = Refusal {
            what: c"fixed mapping",
            target: page.raw(),
            value: entry.raw(),
        };
        report::report_refusal(&refusal, error.errno(), caller.site());
        report::die_refused(
            c"Xen refused a fixed mapping",
            c"update_va_mapping",
            page.raw(),
            error,
        );
    }
    if kind == FixmapKind::Vsyscall {
        // User roots have tables of their own for this page.
        kernel_data::set_user_vsyscall(page, entry);
    }
}
