// SPDX-License-Identifier: GPL-2.0-only

//! The part of `xen_memory_setup()` in setup.c that concerns the backend: what Xen put where the
//! machine has no RAM moves, or the boot stops.

use crate::addr::{
    Paddr,
    Pfn, //
};
use crate::boot;
use crate::level::{
    pages_for,
    PAGE_SIZE, //
};
use crate::platform::cpu::call_context::CallContext;
use crate::platform::diag::report;
use crate::platform::early::early_memory::{
    self,
    FreeArea, //
};
use crate::platform::early::start_of_day::{
    self,
    StartInfo, //
};
use crate::platform::kernel::address;
use crate::platform::kernel::layout::KERNEL_MAP;
use crate::platform::machine::host::{
    early,
    Host, //
};
use crate::platform::machine::memory_map::is_ram;
use std::ops::Range;

/// Resolves all conflicts except those of the page tables, which `boot_with()` has resolved.
pub(crate) fn set_up(host: &Host) {
    let (start, end) = start_of_day::image_bounds();
    let size = end.raw() - start.raw();
    early_memory::check_e820_usable(early(), address::virt_to_phys(start), size, c"kernel");
    early_memory::check_e820_usable(
        early(),
        address::virt_to_phys(StartInfo::address()),
        PAGE_SIZE,
        c"xen_start_info",
    );
    if !is_ram(&list_range()) {
        boot::relocate::relocate(early(), CallContext::here());
    }
    move_initrd(host);
}

/// Returns the range of the p2m list, including its own tables if it has any.
pub(crate) fn list_range() -> Range<usize> {
    let (start, bytes) = if StartInfo::mfn_list() >= KERNEL_MAP {
        let bytes = pages_for(StartInfo::nr_pages() * size_of::<usize>()) * PAGE_SIZE;
        (address::virt_to_phys(StartInfo::mfn_list()).raw(), bytes)
    } else {
        let start = Pfn::new(StartInfo::first_p2m_pfn()).paddr();
        (start.raw(), StartInfo::nr_p2m_frames() * PAGE_SIZE)
    };
    start..start + bytes
}

fn move_initrd(host: &Host) {
    let map = host.memory_map.borrow();
    let Some(old) = map.as_ref().map(|map| map.initrd.clone()) else {
        return;
    };
    drop(map);
    if is_ram(&old) {
        return;
    }
    let Some(area) = FreeArea::find(early(), old.len()) else {
        report::raw_console(
            c"Can't find new memory area for initrd needed due to E820 map conflict\n",
        );
        report::die(c"no free memory to move the initrd to");
    };
    let new = area.start().paddr().raw();
    for offset in (0..old.len()).step_by(PAGE_SIZE) {
        host.copy_page(Paddr::new(old.start + offset), Paddr::new(new + offset));
    }
    early_memory::memblock_free(early(), Paddr::new(old.start), old.len());
    if let Some(map) = host.memory_map.borrow_mut().as_mut() {
        map.initrd = new..new + old.len();
    }
}
