// SPDX-License-Identifier: GPL-2.0-only
/*
 * Repeat lookups and changes of the p2m list, to be measured from outside:
 *
 *	echo 'get 1000' >/sys/module/p2m_bench/parameters/run
 *	echo 'set 1000' >/sys/module/p2m_bench/parameters/run
 *
 * The functions are those of whichever backend is built in.
 */
#include <linux/gfp.h>
#include <linux/moduleparam.h>
#include <linux/mm.h>

#include <xen/xen.h>

#include <asm/xen/page.h>

#define MOST	1000000

static void get(unsigned long pfn, unsigned int count)
{
	while (count--)
		get_phys_to_machine(pfn);
}

/* The word stays what it is: the page is in use. */
static int set(unsigned long pfn, unsigned int count)
{
	unsigned long mfn = get_phys_to_machine(pfn);

	while (count--)
		if (!set_phys_to_machine(pfn, mfn))
			return -ENOMEM;
	return 0;
}

static int run(const char *text, const struct kernel_param *param)
{
	unsigned int count;
	struct page *page;
	char what[4];
	int ret = 0;

	if (!xen_pv_domain())
		return -ENODEV;
	if (sscanf(text, "%3s %u", what, &count) != 2 || count > MOST)
		return -EINVAL;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	if (!strcmp(what, "get"))
		get(page_to_pfn(page), count);
	else if (!strcmp(what, "set"))
		ret = set(page_to_pfn(page), count);
	else
		ret = -EINVAL;
	__free_page(page);
	return ret;
}

static const struct kernel_param_ops ops = { .set = run };
module_param_cb(run, &ops, NULL, 0200);
