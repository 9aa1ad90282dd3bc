// SPDX-License-Identifier: GPL-2.0
/*
 * Optimisations that can be switched off one by one, to find out which of them
 * a problem comes from: xen_pv_mmu_off=NAME[,NAME...].
 */
#define pr_fmt(fmt) "xen_pv_mmu: " fmt

#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/string.h>

#include <asm/pgtable.h>
#include <xen/xen.h>

#include "switches.h"

DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_takes);
DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_wrprotects);
DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_sets);
DEFINE_STATIC_KEY_FALSE(xen_pv_mmu_keeps);
struct xen_pv_mmu_switch xen_pv_mmu_loads = { .on = STATIC_KEY_FALSE_INIT };

static struct {
	const char *name;
	struct static_key_false *key;
	bool off;
} switches[] __initdata = {
	{ "takes", &xen_pv_mmu_takes },
	{ "wrprotects", &xen_pv_mmu_wrprotects },
	{ "sets", &xen_pv_mmu_sets },
	{ "keeps", &xen_pv_mmu_keeps },
	{ "loads", &xen_pv_mmu_loads.on },
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
