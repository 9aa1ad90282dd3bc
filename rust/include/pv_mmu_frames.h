/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cases in which generic code does not need the frame of an entry, so a Xen PV
 * guest does not convert it. Included by <asm/pgtable.h>.
 */
#ifndef _ASM_X86_XEN_PV_MMU_FRAMES_H
#define _ASM_X86_XEN_PV_MMU_FRAMES_H

#if defined(CONFIG_XEN_PV_MMU_RUST) && defined(CONFIG_PARAVIRT_XXL)

#include <linux/jump_label.h>

/* Off on bare metal; see the boot parameter xen_pv_mmu_off. */
DECLARE_STATIC_KEY_FALSE(xen_pv_mmu_keep_frame_key);

/*
 * Whether @pte can get the flags of @prot and keep its frame as it is.
 *
 * Both have to be present: the frame of an entry that is not present is never a
 * machine frame, and may be inverted. The frame has to have a struct page,
 * because generic code sees entries for frames of other domains as not present.
 */
static __always_inline bool xen_pv_mmu_keeps_frame(pte_t pte, pgprot_t prot)
{
	return static_branch_unlikely(&xen_pv_mmu_keep_frame_key) &&
	       (pte_flags(pte) & (_PAGE_PRESENT | _PAGE_SPECIAL)) == _PAGE_PRESENT &&
	       (pgprot_val(prot) & _PAGE_PRESENT);
}

/*
 * Whether both entries are present and hold the same frame. Otherwise the
 * frames have to be converted first, because only one of them may be a machine
 * frame.
 */
static __always_inline bool xen_pv_mmu_same_frame(pte_t a, pte_t b)
{
	return static_branch_unlikely(&xen_pv_mmu_keep_frame_key) &&
	       (pte_flags(a) & pte_flags(b) & _PAGE_PRESENT) &&
	       !((native_pte_val(a) ^ native_pte_val(b)) & PTE_PFN_MASK);
}

#else

static __always_inline bool xen_pv_mmu_keeps_frame(pte_t pte, pgprot_t prot)
{
	return false;
}

static __always_inline bool xen_pv_mmu_same_frame(pte_t a, pte_t b)
{
	return false;
}

#endif

#endif /* _ASM_X86_XEN_PV_MMU_FRAMES_H */
