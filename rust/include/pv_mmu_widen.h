/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For a test: there are two ways in which an empty table of PTEs is freed. On
 * request, races between the two become more likely. Included by mm/memory.c.
 */
#ifndef _ASM_X86_XEN_PV_MMU_WIDEN_H
#define _ASM_X86_XEN_PV_MMU_WIDEN_H

#ifdef CONFIG_XEN_PV_MMU_RUST_FAULT_INJECTION

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/processor.h>
#include <linux/timex.h>

static bool widen_reclaim;

static int __init widen_reclaim_init(void)
{
	debugfs_create_bool("widen_reclaim", 0600,
			    debugfs_lookup("xen_pv_mmu", NULL), &widen_reclaim);
	return 0;
}
late_initcall_sync(widen_reclaim_init);

static inline void widen_reclaim_wait(unsigned int loops)
{
	while (READ_ONCE(widen_reclaim) && loops--)
		cpu_relax();
}

/* True half of the time, if enabled. */
static inline bool widen_reclaim_chance(void)
{
	return READ_ONCE(widen_reclaim) && (get_cycles() >> 6) & 1;
}

#else

static inline void widen_reclaim_wait(unsigned int loops)
{
}

static inline bool widen_reclaim_chance(void)
{
	return false;
}

#endif

#endif /* _ASM_X86_XEN_PV_MMU_WIDEN_H */
