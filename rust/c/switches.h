/* SPDX-License-Identifier: GPL-2.0-only */
/* Static keys of switches.c that the crate itself tests. */
#ifndef XEN_PV_MMU_SWITCHES_H
#define XEN_PV_MMU_SWITCHES_H

#include <linux/jump_label.h>

/* A structure because Rust needs a field. */
struct xen_pv_mmu_switch {
	struct static_key_false on;
};

extern struct xen_pv_mmu_switch xen_pv_mmu_write_cr3_key;

#endif /* XEN_PV_MMU_SWITCHES_H */
