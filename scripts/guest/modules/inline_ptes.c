// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses each inline function of <asm/pgtable.h> that may call the backend in Rust,
 * on entries of a page that is no table: the functions must link and work.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#define ORDER	2
#define NR	(1U << ORDER)
#define ADDR	0x10000000UL

static pte_t *table;

/*
 * In a non-GPL module, the flags of a protection cannot be checked, unless the
 * entry is known not to be present. The same holds for the C backend.
 */
#ifdef CLOSED
#define READ_ONLY	__pgprot(_PAGE_PROTNONE)
#else
#define READ_ONLY	__pgprot(_PAGE_PRESENT | _PAGE_ACCESSED)
#endif

/* A kernel entry for the page of the table; those after it map the next pages. */
static pte_t entry(unsigned int nr)
{
	return __pte(__pa(table) + nr * PAGE_SIZE + _PAGE_PRESENT + _PAGE_RW +
		     _PAGE_ACCESSED);
}

static void fill(void)
{
	for (unsigned int i = 0; i < NR; i++)
		set_pte(table + i, entry(i));
}

/* Checks the first @nr entries with is_good(), and that the others are unchanged. */
static bool holds(bool (*is_good)(pte_t pte, unsigned int nr), unsigned int nr)
{
	for (unsigned int i = 0; i < NR; i++) {
		pte_t pte = ptep_get(table + i);

		if (i < nr ? !is_good(pte, i) : !pte_same(pte, entry(i)))
			return false;
	}
	return true;
}

static bool is_none(pte_t pte, unsigned int nr)
{
	return pte_none(pte);
}

static bool is_entry(pte_t pte, unsigned int nr)
{
	return pte_same(pte, entry(nr));
}

static bool is_read_only(pte_t pte, unsigned int nr)
{
	return pte_present(pte) && !pte_write(pte) &&
	       pte_pfn(pte) == pte_pfn(entry(nr));
}

static bool is_clean(pte_t pte, unsigned int nr)
{
	return pte_present(pte) && !pte_dirty(pte) && !pte_young(pte) &&
	       pte_pfn(pte) == pte_pfn(entry(nr));
}

/* With encrypted memory it reads cc_mask, which no module can, with either backend. */
#ifndef CONFIG_ARCH_HAS_CC_PLATFORM
static bool try_pte_modify(void)
{
	pte_t pte = pte_modify(entry(1), READ_ONLY);

	return !pte_write(pte) && pte_pfn(pte) == pte_pfn(entry(1));
}
#endif

static bool try_ptep_get_and_clear(void)
{
	return pte_same(ptep_get_and_clear(current->mm, ADDR, table), entry(0)) &&
	       holds(is_none, 1);
}

static bool try_get_and_clear_full_ptes(void)
{
	pte_t pte;

	set_pte(table + 2, pte_mkdirty(entry(2)));
	pte = get_and_clear_full_ptes(current->mm, ADDR, table, 3, 0);
	return pte_dirty(pte) && pte_pfn(pte) == pte_pfn(entry(0)) &&
	       holds(is_none, 3);
}

static bool try_clear_full_ptes(void)
{
	clear_full_ptes(current->mm, ADDR, table, 2, 0);
	return holds(is_none, 2);
}

static bool try_wrprotect_ptes(void)
{
	wrprotect_ptes(current->mm, ADDR, table, 3);
	return holds(is_read_only, 3);
}

/* Without CYDP_CLEAR_DIRTY no module links, with either backend. */
static bool try_clear_young_dirty_ptes(void)
{
	struct vm_area_struct vma = { .vm_mm = current->mm };

	for (unsigned int i = 0; i < 3; i++)
		set_pte(table + i, pte_mkdirty(entry(i)));
	clear_young_dirty_ptes(&vma, ADDR, table, 3,
			       CYDP_CLEAR_YOUNG | CYDP_CLEAR_DIRTY);
	return holds(is_clean, 3);
}

static bool try_set_ptes(void)
{
	for (unsigned int i = 0; i < NR; i++)
		set_pte(table + i, __pte(0));
	set_ptes(current->mm, ADDR, table, entry(0), NR);
	return holds(is_entry, NR);
}

static const struct {
	const char *name;
	bool (*works)(void);
} functions[] = {
#ifndef CONFIG_ARCH_HAS_CC_PLATFORM
	{ "pte_modify", try_pte_modify },
#endif
	{ "ptep_get_and_clear", try_ptep_get_and_clear },
	{ "get_and_clear_full_ptes", try_get_and_clear_full_ptes },
	{ "clear_full_ptes", try_clear_full_ptes },
	{ "wrprotect_ptes", try_wrprotect_ptes },
	{ "clear_young_dirty_ptes", try_clear_young_dirty_ptes },
	{ "set_ptes", try_set_ptes },
};

static int __init inline_ptes_init(void)
{
	int ret = 0;

	/* Pages for all entries, because other frames may have no machine frame. */
	table = (pte_t *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, ORDER);
	if (!table)
		return -ENOMEM;
	for (unsigned int i = 0; i < ARRAY_SIZE(functions); i++) {
		fill();
		if (!functions[i].works()) {
			pr_err("%s does not work\n", functions[i].name);
			ret = -EIO;
		}
	}
	free_pages((unsigned long)table, ORDER);
	if (!ret)
		pr_info("all functions work\n");
	return ret;
}

static void __exit inline_ptes_exit(void)
{
}

module_init(inline_ptes_init);
module_exit(inline_ptes_exit);
#ifdef CLOSED
MODULE_LICENSE("Proprietary");
#else
MODULE_LICENSE("GPL");
#endif
MODULE_DESCRIPTION("Inline functions of page tables, used out of the tree");
