// SPDX-License-Identifier: GPL-2.0-only
/*
 * Symbols of the Rust PV MMU backend for loadable modules: those that the C
 * backend exports, and those that inline functions of <asm/pgtable.h> use. The
 * latter are not GPL-only: with the C backend any module may call these inline
 * functions.
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

/* pte_modify() */
EXPORT_SYMBOL(xen_pv_mmu_keep_frame_key);

/* ptep_get_and_clear(), get_and_clear_full_ptes(), clear_full_ptes() */
EXPORT_SYMBOL(xen_pv_mmu_get_and_clear_key);
EXPORT_SYMBOL(xen_pv_mmu_get_and_clear_pte);
EXPORT_SYMBOL(xen_pv_mmu_get_and_clear_ptes);
EXPORT_SYMBOL(xen_pv_mmu_clear_ptes);

/* clear_young_dirty_ptes() */
EXPORT_SYMBOL(xen_pv_mmu_clear_noted_ptes);

/* wrprotect_ptes() */
EXPORT_SYMBOL(xen_pv_mmu_wrprotect_key);
EXPORT_SYMBOL(xen_pv_mmu_wrprotect_ptes);

/* set_ptes() */
EXPORT_SYMBOL(xen_pv_mmu_set_ptes_key);
EXPORT_SYMBOL(xen_pv_mmu_set_ptes);
