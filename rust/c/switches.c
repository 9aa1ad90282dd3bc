// SPDX-License-Identifier: GPL-2.0-only
/*
 * The boot parameter xen_pv_mmu_off=NAME[,NAME...] switches single
 * optimisations off, to find out which of them causes a problem.
 */
#define pr_fmt(fmt) "xen_pv_mmu: " fmt

#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/string.h>

#include <asm/pgtable.h>
#include <xen/xen.h>

#include "switches.h"

DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_get_and_clear_key);
DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_wrprotect_key);
DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_set_ptes_key);
DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_keep_frame_key);
struct xen_pv_mmu_switch xen_pv_mmu_write_cr3_key = { .on = STATIC_KEY_FALSE_INIT };

static struct {
	const char *name;
	struct static_key_false *key;
	bool off;
} switches[] __initdata = {
	{ "get_and_clear", &xen_pv_mmu_get_and_clear_key },
	{ "wrprotect", &xen_pv_mmu_wrprotect_key },
	{ "set_ptes", &xen_pv_mmu_set_ptes_key },
	{ "keep_frame", &xen_pv_mmu_keep_frame_key },
	{ "write_cr3", &xen_pv_mmu_write_cr3_key.on },
};

static int __init switch_off(char *names)
{
	char *name;
	int i;

	while ((name = strsep(&names, ",")) != NULL) {
		for (i = 0; i < ARRAY_SIZE(switches); i++) {
			if (!strcmp(name, switches[i].name))
				break;
		}
		if (i == ARRAY_SIZE(switches))
			pr_warn("xen_pv_mmu_off: no optimisation is called %s\n",
				name);
		else
			switches[i].off = true;
	}
	return 0;
}
early_param("xen_pv_mmu_off", switch_off);

static int __init switch_on(void)
{
	int i;

	for (i = 0; xen_pv_domain() && i < ARRAY_SIZE(switches); i++) {
		if (!switches[i].off)
			static_branch_enable(switches[i].key);
	}
	return 0;
}
early_initcall(switch_on);
