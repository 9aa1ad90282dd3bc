// SPDX-License-Identifier: GPL-2.0

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
use crate::platform::{
    die_refused,
    dummy_page,
    fix_to_virt,
    fixmap_kind,
    kernel_rw,
    massage_pgprot,
    report_refusal,
    set_user_vsyscall,
    update_va_mapping,
    CallContext,
    FixmapKind,
    VaFlush, //
};

/// Maps `address` at fixed mapping `index`; the index decides whether the address is
/// pseudo-physical or machine.
///
/// Context: any but interrupts.
pub(crate) fn set(index: u32, address: usize, protection: Protection, caller: CallContext<'_>) {
    let kind = fixmap_kind(index);
    let entry = match kind {
        FixmapKind::Memory | FixmapKind::Vsyscall => convert::to_machine(PseudoEntry::new(
            Paddr::new(address).pfn(),
            massage_pgprot(protection),
        )),
        FixmapKind::Apic => convert::to_machine(PseudoEntry::new(dummy_page().pfn(), kernel_rw())),
        FixmapKind::Machine => MachineEntry::new(
            Mfn::new(address >> crate::level::PAGE_SHIFT),
            massage_pgprot(protection),
        ),
    };
    let page = fix_to_virt(index);

    if let Err(error) = update_va_mapping(page, entry, VaFlush::PageLocal) {
        report_refusal(
            c"fixed mapping",
            page.raw(),
            entry.raw(),
            error.errno(),
            caller.site(),
        );
        die_refused(
            c"Xen refused a fixed mapping",
            c"update_va_mapping",
            page.raw(),
            error,
        );
    }
    if kind == FixmapKind::Vsyscall {
        // User roots have tables of their own for this page.
        set_user_vsyscall(page, entry);
    }
}
