/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of page-table entries that generic code makes by atomic instructions.
 * There is no paravirt operation for them, and in a Xen PV guest each would
 * trap. Included by <asm/pgtable.h>.
 */
#ifndef _ASM_X86_XEN_PV_MMU_PTES_H
#define _ASM_X86_XEN_PV_MMU_PTES_H

#if defined(CONFIG_XEN_PV_MMU_RUST) && defined(CONFIG_PARAVIRT_XXL)

#include <linux/jump_label.h>

/* All are off on bare metal; see the boot parameter xen_pv_mmu_off. */
DECLARE_STATIC_KEY_FALSE(xen_pv_mmu_get_and_clear_key);
DECLARE_STATIC_KEY_FALSE(xen_pv_mmu_set_ptes_key);
DECLARE_STATIC_KEY_FALSE(xen_pv_mmu_wrprotect_key);

pte_t xen_pv_mmu_get_and_clear_pte(struct mm_struct *mm, unsigned long addr,
				   pte_t *ptep);
pte_t xen_pv_mmu_get_and_clear_ptes(struct mm_struct *mm, unsigned long addr,
				    pte_t *ptep, unsigned int nr,
				    pte_t *others);
void xen_pv_mmu_clear_ptes(struct mm_struct *mm, unsigned long addr,
			   pte_t *ptep, unsigned int nr);
void xen_pv_mmu_wrprotect_ptes(pte_t *ptep, unsigned int nr);
void xen_pv_mmu_clear_noted_ptes(struct mm_struct *mm, unsigned long addr,
				 pte_t *ptep, unsigned int nr,
				 unsigned long bits);
void xen_pv_mmu_set_ptes(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
			 pte_t pte, unsigned int nr);

static __always_inline bool xen_pv_mmu_get_and_clear_is_on(void)
{
	return static_branch_unlikely(&xen_pv_mmu_get_and_clear_key);
}

void __xen_pv_mmu_begin_table_move(void);
void __xen_pv_mmu_end_table_move(void);

/*
 * mremap() calls these before and after it moves a whole table. In between it
 * holds the locks of both entries, so the changes may wait until the end.
 */
static __always_inline void xen_pv_mmu_begin_table_move(void)
{
	if (xen_pv_mmu_get_and_clear_is_on())
		__xen_pv_mmu_begin_table_move();
}

static __always_inline void xen_pv_mmu_end_table_move(void)
{
	if (xen_pv_mmu_get_and_clear_is_on())
		__xen_pv_mmu_end_table_move();
}

#else

static __always_inline bool xen_pv_mmu_get_and_clear_is_on(void)
{
	return false;
}

static inline pte_t xen_pv_mmu_get_and_clear_pte(struct mm_struct *mm,
						 unsigned long addr,
						 pte_t *ptep)
{
	return native_ptep_get_and_clear(ptep);
}

static __always_inline void xen_pv_mmu_begin_table_move(void)
{
}

static __always_inline void xen_pv_mmu_end_table_move(void)
{
}

#endif

#endif /* _ASM_X86_XEN_PV_MMU_PTES_H */
