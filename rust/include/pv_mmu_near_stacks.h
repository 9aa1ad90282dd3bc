/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For a test: execve() makes a stack below the last address, and moves it down by
 * a random number of pages. On request, that number is so small that the old and
 * the new area overlap. Included by mm/util.c.
 */
#ifndef _ASM_X86_XEN_PV_MMU_NEAR_STACKS_H
#define _ASM_X86_XEN_PV_MMU_NEAR_STACKS_H

#ifdef CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION

#include <linux/debugfs.h>
#include <linux/init.h>

static bool near_stacks;

static int __init near_stacks_init(void)
{
	debugfs_create_bool("near_stacks", 0600,
			    debugfs_lookup("xen_pv_mmu", NULL), &near_stacks);
	return 0;
}
late_initcall_sync(near_stacks_init);

static inline unsigned long stack_distance(unsigned long pages)
{
	return READ_ONCE(near_stacks) ? 1 + pages % 256 : pages;
}

#else

static inline unsigned long stack_distance(unsigned long pages)
{
	return pages;
}

#endif

#endif /* _ASM_X86_XEN_PV_MMU_NEAR_STACKS_H */
