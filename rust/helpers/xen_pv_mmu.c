// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inline functions and macros of the kernel that the Rust PV MMU backend
 * needs. Included by the kernel's helpers.c when CONFIG_XEN_PV_MMU_RUST=y.
 */
#include <linux/cpumask.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/page_table_check.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <kunit/test-bug.h>
#include <kunit/test.h>

#include <asm/fixmap.h>
#include <asm/pgtable.h>
#include <asm/tlbflush.h>
#include <asm/xen/page.h>

/*
 * A helper that calls functions which are freed after boot. If helpers are
 * inlined, it is a part of its caller, which is freed as well. Otherwise it is
 * exported, so it has to stay.
 */
#if defined(__BINDGEN__) || defined(CONFIG_RUST_INLINE_HELPERS)
#define __rust_init_helper __rust_helper
#else
#define __rust_init_helper __ref
#endif

/* Context */

__rust_helper bool rust_helper_is_lazy_mmu_mode_active(void)
{
	return is_lazy_mmu_mode_active();
}

__rust_helper void rust_helper_lazy_mmu_mode_enable(void)
{
	lazy_mmu_mode_enable();
}

__rust_helper void rust_helper_lazy_mmu_mode_disable(void)
{
	lazy_mmu_mode_disable();
}

__rust_helper u8 rust_helper_xen_pv_mmu_lazy_pause_count(void)
{
	return current->lazy_mmu_state.pause_count;
}

__rust_helper u8 rust_helper_xen_pv_mmu_lazy_enable_count(void)
{
	return current->lazy_mmu_state.enable_count;
}

__rust_helper bool rust_helper_xen_pv_mmu_in_nmi(void)
{
	return in_nmi();
}

__rust_helper bool rust_helper_xen_pv_mmu_preemptible(void)
{
	return preemptible();
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

__rust_helper void rust_helper_xen_pv_mmu_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}

__rust_helper void rust_helper_xen_pv_mmu_preempt_disable(void)
{
	preempt_disable();
}

__rust_helper void rust_helper_xen_pv_mmu_preempt_enable(void)
{
	preempt_enable();
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_return_address(void)
{
	return (unsigned long)__builtin_return_address(0);
}

__rust_helper void rust_helper_xen_pv_mmu_wmb(void)
{
	/* The Rust caller says what this orders. */
	wmb();
}

__rust_helper void rust_helper_cond_resched(void)
{
	cond_resched();
}

/*
 * Per-CPU data. The parameters are __percpu, which bindgen ignores. With gcc it
 * is an address space, and a cast from another address space warns.
 */

__rust_helper void *rust_helper_xen_pv_mmu_this_cpu_ptr(char __percpu *ptr)
{
	return this_cpu_ptr(ptr);
}

__rust_helper void *rust_helper_xen_pv_mmu_raw_cpu_ptr(char __percpu *ptr)
{
	return raw_cpu_ptr(ptr);
}

__rust_helper void *rust_helper_xen_pv_mmu_per_cpu_ptr(char __percpu *ptr,
						       unsigned int cpu)
{
	return per_cpu_ptr(ptr, cpu);
}

__rust_helper unsigned long
rust_helper_xen_pv_mmu_this_cpu_read(unsigned long __percpu *ptr)
{
	return this_cpu_read(*ptr);
}

__rust_helper void
rust_helper_xen_pv_mmu_this_cpu_add(unsigned long __percpu *ptr,
				    unsigned long amount)
{
	this_cpu_add(*ptr, amount);
}

__rust_helper struct mm_struct *rust_helper_xen_pv_mmu_loaded_mm(void)
{
#ifdef MODULE
	/* cpu_tlbstate is not for modules, and the crate is always built in. */
	return NULL;
#else
	return this_cpu_read(cpu_tlbstate.loaded_mm);
#endif
}

__rust_helper struct mm_struct *
rust_helper_xen_pv_mmu_flush_info(const struct flush_tlb_info *info,
				  unsigned long *start, unsigned long *end)
{
#ifdef MODULE
	return NULL;
#else
	*start = info->start;
	*end = info->end;
	return info->mm;
#endif
}

/* Locks */

__rust_helper unsigned long rust_helper_xen_pv_mmu_lock_irqsave(spinlock_t *lock)
{
	unsigned long flags;

	spin_lock_irqsave(lock, flags);
	return flags;
}

__rust_helper void rust_helper_xen_pv_mmu_unlock_irqrestore(spinlock_t *lock,
							    unsigned long flags)
{
	spin_unlock_irqrestore(lock, flags);
}

__rust_helper spinlock_t *rust_helper_xen_pv_mmu_lock_pte_table(struct page *page,
								struct mm_struct *mm)
{
#ifdef CONFIG_SPLIT_PTE_PTLOCKS
	spinlock_t *ptl = ptlock_ptr(page_ptdesc(page));

	spin_lock_nest_lock(ptl, &mm->page_table_lock);
	return ptl;
#else
	return NULL;
#endif
}

/* Addresses */

__rust_helper unsigned long rust_helper_xen_pv_mmu_pa(const void *vaddr)
{
	return __pa(vaddr);
}

__rust_helper void *rust_helper_xen_pv_mmu_va(unsigned long paddr)
{
	return __va(paddr);
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_page_offset_l4(void)
{
	return __PAGE_OFFSET_BASE_L4;
}

__rust_helper bool rust_helper_pgtable_l5_enabled(void)
{
	return pgtable_l5_enabled();
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_task_size_max(void)
{
	return TASK_SIZE_MAX;
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_vmalloc_bytes(void)
{
	return VMALLOC_END - VMALLOC_START;
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_fix_to_virt(unsigned int idx)
{
	return __fix_to_virt(idx);
}

__rust_init_helper bool rust_helper_xen_pv_mmu_is_early_ioremap_ptep(pte_t *ptep)
{
	return is_early_ioremap_ptep(ptep);
}

/* Memory that may fault */

__rust_helper int rust_helper_xen_safe_read_ulong(const unsigned long *addr,
						  unsigned long *val)
{
	return xen_safe_read_ulong(addr, val);
}

__rust_helper int rust_helper_xen_safe_write_ulong(unsigned long *addr,
						   unsigned long val)
{
	return xen_safe_write_ulong(addr, val);
}

/* Protections */

__rust_helper unsigned long rust_helper_xen_pv_mmu_page_kernel(void)
{
	return pgprot_val(PAGE_KERNEL);
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_page_kernel_ro(void)
{
	return pgprot_val(PAGE_KERNEL_RO);
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_massage_pgprot(pgprot_t prot)
{
	return massage_pgprot(prot);
}

__rust_helper bool rust_helper_xen_pv_mmu_nx_supported(void)
{
	return __supported_pte_mask & _PAGE_NX;
}

/* struct page */

__rust_helper struct page *rust_helper_xen_pv_mmu_virt_to_page(const void *vaddr)
{
	return virt_to_page(vaddr);
}

__rust_helper struct page *rust_helper_xen_pv_mmu_pfn_to_page(unsigned long pfn)
{
	return pfn_to_page(pfn);
}

__rust_helper unsigned long rust_helper_xen_pv_mmu_page_to_pfn(const struct page *page)
{
	return page_to_pfn(page);
}

__rust_helper bool rust_helper_PagePinned(struct page *page)
{
	return PagePinned(page);
}

__rust_helper bool rust_helper_TestSetPagePinned(struct page *page)
{
	return TestSetPagePinned(page);
}

__rust_helper bool rust_helper_TestClearPagePinned(struct page *page)
{
	return TestClearPagePinned(page);
}

__rust_helper bool rust_helper_PageSavePinned(struct page *page)
{
	return PageSavePinned(page);
}

__rust_helper void rust_helper_SetPageSavePinned(struct page *page)
{
	SetPageSavePinned(page);
}

__rust_helper void rust_helper_ClearPageSavePinned(struct page *page)
{
	ClearPageSavePinned(page);
}

/*
 * The word of a PGD's descriptor that the backend may use. ptdesc->ptl
 * (page->private) is in use if a spinlock does not fit into a word.
 */
__rust_helper unsigned long *rust_helper_xen_pv_mmu_pgd_word(struct page *page)
{
	return &page_ptdesc(page)->__page_mapping;
}

/* Early memory */

__rust_init_helper void *rust_helper_xen_pv_mmu_memblock_alloc_page(void)
{
	return memblock_alloc_or_panic(PAGE_SIZE, PAGE_SIZE);
}

__rust_helper bool rust_helper_slab_is_available(void)
{
	return slab_is_available();
}

__rust_init_helper int rust_helper_xen_pv_mmu_memblock_reserve(phys_addr_t base,
							       phys_addr_t size)
{
	return memblock_reserve(base, size);
}

__rust_helper struct page *rust_helper_xen_pv_mmu_alloc_pages(gfp_t gfp,
							      unsigned int order)
{
	return alloc_pages(gfp, order);
}

/* Page table check */

__rust_helper void
rust_helper_page_table_check_ptes_set(struct mm_struct *mm, unsigned long addr,
				      pte_t *ptep, pte_t pte, unsigned int nr)
{
	page_table_check_ptes_set(mm, addr, ptep, pte, nr);
}

__rust_helper void
rust_helper_page_table_check_pte_clear(struct mm_struct *mm, unsigned long addr,
				       pte_t pte)
{
	page_table_check_pte_clear(mm, addr, pte);
}

__rust_helper pte_t rust_helper_pte_modify(pte_t pte, pgprot_t prot)
{
	return pte_modify(pte, prot);
}

__rust_helper bool rust_helper_pte_needs_flush(pte_t oldpte, pte_t newpte)
{
#ifdef MODULE
	return false;
#else
	return pte_needs_flush(oldpte, newpte);
#endif
}

/* Address spaces */

/*
 * Whether filling an empty entry may wait until the lazy MMU section ends.
 * Fixed mappings are used at once, because kmap_local_page() may be called in a
 * section.
 */
__rust_helper bool rust_helper_xen_pv_mmu_may_fill_later(struct mm_struct *mm,
							 unsigned long addr)
{
	return is_lazy_mmu_mode_active() &&
	       (mm != &init_mm ||
		(addr >= VMALLOC_START && addr < VMALLOC_END));
}

/* Whether clearing entries of @mm may wait until the lazy MMU section ends. */
__rust_helper bool rust_helper_xen_pv_mmu_may_clear_later(struct mm_struct *mm)
{
	return is_lazy_mmu_mode_active() && mm != &init_mm && !current->in_execve;
}

/* Whether @mm is the current task's own address space and loaded on its CPU. */
__rust_helper bool rust_helper_xen_pv_mmu_is_loaded_here(struct mm_struct *mm)
{
#ifdef MODULE
	return false;
#else
	return mm == current->mm && mm == this_cpu_read(cpu_tlbstate.loaded_mm);
#endif
}

__rust_helper bool rust_helper_xen_pv_mmu_is_io_pfnmap(struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_PFNMAP | VM_IO)) == (VM_PFNMAP | VM_IO);
}

/* Reports */

__rust_helper bool rust_helper_xen_pv_mmu_may_report(void)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return ___ratelimit(&limit, "xen_pv_mmu");
}

/* Tests */

__rust_helper void rust_helper_xen_pv_mmu_skip_test(const char *reason)
{
	struct kunit *test = kunit_get_current_test();

	if (test)
		kunit_mark_skipped(test, "%s", reason);
}
