/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for runs of page-table entries, which a Xen PV guest changes together
 * instead of one by one. Included by <asm/pgtable.h>; <linux/pgtable.h>
 * documents the helpers.
 */
#ifndef ASM_X86_XEN_PV_MMU_RANGES_H
#define ASM_X86_XEN_PV_MMU_RANGES_H

#if defined(CONFIG_XEN_PV_MMU_RUST) && defined(CONFIG_PARAVIRT_XXL)

/* Adds the accessed and dirty bits of the other entries of its run to @pte. */
static inline pte_t xen_pv_mmu_merge_noted(pte_t pte, pte_t others)
{
	if (pte_dirty(others))
		pte = pte_mkdirty(pte);
	if (pte_young(others))
		pte = pte_mkyoung(pte);
	return pte;
}

#define get_and_clear_full_ptes get_and_clear_full_ptes
static inline pte_t get_and_clear_full_ptes(struct mm_struct *mm,
					    unsigned long addr, pte_t *ptep,
					    unsigned int nr, int full)
{
	pte_t pte, others;

	if (xen_pv_mmu_get_and_clear_is_on() && !full) {
		pte = xen_pv_mmu_get_and_clear_ptes(mm, addr, ptep, nr, &others);
		return xen_pv_mmu_merge_noted(pte, others);
	}
	pte = ptep_get_and_clear_full(mm, addr, ptep, full);
	for (unsigned int i = 1; i < nr; i++) {
		others = ptep_get_and_clear_full(mm, addr + i * PAGE_SIZE,
						 ptep + i, full);
		pte = xen_pv_mmu_merge_noted(pte, others);
	}
	return pte;
}

#define clear_full_ptes clear_full_ptes
static inline void clear_full_ptes(struct mm_struct *mm, unsigned long addr,
				   pte_t *ptep, unsigned int nr, int full)
{
	if (xen_pv_mmu_get_and_clear_is_on() && !full) {
		xen_pv_mmu_clear_ptes(mm, addr, ptep, nr);
		return;
	}
	for (unsigned int i = 0; i < nr; i++)
		ptep_get_and_clear_full(mm, addr + i * PAGE_SIZE, ptep + i,
					full);
}

#define wrprotect_ptes wrprotect_ptes
static inline void wrprotect_ptes(struct mm_struct *mm, unsigned long addr,
				  pte_t *ptep, unsigned int nr)
{
	if (static_branch_unlikely(&xen_pv_mmu_wrprotect_key)) {
		xen_pv_mmu_wrprotect_ptes(ptep, nr);
		return;
	}
	for (unsigned int i = 0; i < nr; i++)
		ptep_set_wrprotect(mm, addr + i * PAGE_SIZE, ptep + i);
}

#define set_ptes set_ptes
static inline void set_ptes(struct mm_struct *mm, unsigned long addr,
			    pte_t *ptep, pte_t pte, unsigned int nr)
{
	page_table_check_ptes_set(mm, addr, ptep, pte, nr);

	if (static_branch_unlikely(&xen_pv_mmu_set_ptes_key)) {
		xen_pv_mmu_set_ptes(mm, addr, ptep, pte, nr);
		return;
	}
	for (;;) {
		set_pte(ptep, pte);
		if (--nr == 0)
			break;
		ptep++;
		pte = pte_advance_pfn(pte, 1);
	}
}

/*
 * Changes each entry once. The generic function clears it and sets it again.
 */
#define clear_young_dirty_ptes clear_young_dirty_ptes
static inline void clear_young_dirty_ptes(struct vm_area_struct *vma,
					  unsigned long addr, pte_t *ptep,
					  unsigned int nr, cydp_t flags)
{
	unsigned long bits = (flags & CYDP_CLEAR_YOUNG ? _PAGE_ACCESSED : 0) |
			     (flags & CYDP_CLEAR_DIRTY ? _PAGE_DIRTY_BITS : 0);
	pte_t pte;

	if (xen_pv_mmu_get_and_clear_is_on()) {
		xen_pv_mmu_clear_noted_ptes(vma->vm_mm, addr, ptep, nr, bits);
		return;
	}
	for (unsigned int i = 0; i < nr; i++) {
		if (flags == CYDP_CLEAR_YOUNG) {
			ptep_test_and_clear_young(vma, addr + i * PAGE_SIZE,
						  ptep + i);
			continue;
		}
		pte = ptep_get_and_clear(vma->vm_mm, addr + i * PAGE_SIZE,
					 ptep + i);
		if (flags & CYDP_CLEAR_YOUNG)
			pte = pte_mkold(pte);
		if (flags & CYDP_CLEAR_DIRTY)
			pte = pte_mkclean(pte);
		set_ptes(vma->vm_mm, addr + i * PAGE_SIZE, ptep + i, pte, 1);
	}
}

/* As the generic one, but without an advance past the end: it costs conversions. */
#define modify_prot_commit_ptes modify_prot_commit_ptes
static inline void modify_prot_commit_ptes(struct vm_area_struct *vma,
					   unsigned long addr, pte_t *ptep,
					   pte_t old_pte, pte_t pte,
					   unsigned int nr)
{
	ptep_modify_prot_commit(vma, addr, ptep, old_pte, pte);
	for (unsigned int i = 1; i < nr; i++) {
		old_pte = pte_advance_pfn(old_pte, 1);
		pte = pte_advance_pfn(pte, 1);
		ptep_modify_prot_commit(vma, addr + i * PAGE_SIZE, ptep + i,
					old_pte, pte);
	}
}

#endif

#endif /* ASM_X86_XEN_PV_MMU_RANGES_H */
