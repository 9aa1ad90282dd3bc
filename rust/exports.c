// SPDX-License-Identifier: GPL-2.0
/*
 * What of the Rust PV MMU backend loadable modules may use: the same symbols as
 * of the C backend, and those that set_ptes() in <asm/pgtable.h> uses.
 */
#include <linux/export.h>

#include <asm/pgtable.h>
#include <asm/xen/page.h>

#include <xen/xen-ops.h>

EXPORT_SYMBOL_GPL(xen_p2m_addr);
EXPORT_SYMBOL_GPL(xen_p2m_size);
EXPORT_SYMBOL_GPL(xen_max_p2m_pfn);
EXPORT_SYMBOL_GPL(get_phys_to_machine);
EXPORT_SYMBOL(xen_alloc_p2m_entry);
EXPORT_SYMBOL_GPL(xen_remap_pfn);
EXPORT_SYMBOL(xen_pv_mmu_sets);
EXPORT_SYMBOL(xen_pv_mmu_set_ptes);
