/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel headers whose declarations the Rust PV MMU backend uses. Included
 * last by the kernel's bindings_helper.h when CONFIG_XEN_PV_MMU_RUST=y.
 */
#include <linux/acpi.h>
#include <linux/cpumask.h>
#include <linux/crash_core.h>
#include <linux/init_task.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/page_table_check.h>
#include <linux/pgtable.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>
#include <linux/vmcore_info.h>

#include <trace/events/xen.h>

#include <asm/fixmap.h>
#include <asm/mmu_context.h>
#include <asm/paravirt.h>
#include <asm/pgalloc.h>
#include <asm/setup.h>
#include <asm/tlbflush.h>
#include <asm/x86_init.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/hypervisor.h>
#include <asm/xen/page.h>
#include <asm/xen/swiotlb-xen.h>

#include <xen/balloon.h>
#include <xen/grant_table.h>
#include <xen/hvc-console.h>
#include <xen/interface/memory.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen-ops.h>
#include <xen/xen.h>

#ifdef CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION
#include "../c/fault.h"
#endif
#ifdef CONFIG_XEN_PV_MMU_RUST_DEBUGFS
#include "../c/debugfs.h"
#endif
#include "../c/switches.h"

/* The symbols of mmu_pv.c that C declares only in that file. */
pteval_t xen_pte_val(pte_t pte);
pgdval_t xen_pgd_val(pgd_t pgd);
pmdval_t xen_pmd_val(pmd_t pmd);
pudval_t xen_pud_val(pud_t pud);
p4dval_t xen_p4d_val(p4d_t p4d);
pte_t xen_make_pte(pteval_t pte);
pgd_t xen_make_pgd(pgdval_t pgd);
pmd_t xen_make_pmd(pmdval_t pmd);
pud_t xen_make_pud(pudval_t pud);
p4d_t xen_make_p4d(p4dval_t p4d);
pte_t xen_make_pte_init(pteval_t pte);
