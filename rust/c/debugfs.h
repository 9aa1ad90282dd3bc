/* SPDX-License-Identifier: GPL-2.0-only */
/* The interface between debugfs.c and the crate. */
#ifndef XEN_PV_MMU_DEBUGFS_H
#define XEN_PV_MMU_DEBUGFS_H

#include <linux/jump_label.h>
#include <linux/mm_types.h>
#include <linux/seq_file.h>

/* Whether counting is on; a structure because Rust needs a field. */
struct xen_pv_mmu_stats {
	struct static_key_false counting;
};

extern struct xen_pv_mmu_stats xen_pv_mmu_stats;

/* Consecutive frames of one kind in the p2m list; @end is exclusive. */
struct xen_pv_mmu_p2m_range {
	unsigned long start;
	unsigned long end;
	const char *kind;
};

/* The number of tables of an address space; @pinned has levels 1 to 4. */
struct xen_pv_mmu_tables {
	unsigned long pinned[4];
	unsigned long user_roots;
	unsigned long not_pinned;
};

/* rust/ops/debugfs.rs */
void xen_pv_mmu_show_ops(struct seq_file *m);
void xen_pv_mmu_show_stats(struct seq_file *m);
void xen_pv_mmu_reset_stats(void);
bool xen_pv_mmu_find_p2m_range(unsigned long start,
			       struct xen_pv_mmu_p2m_range *range);
void xen_pv_mmu_count_tables(struct mm_struct *mm,
			     struct xen_pv_mmu_tables *tables);

#endif /* XEN_PV_MMU_DEBUGFS_H */
