/* SPDX-License-Identifier: GPL-2.0-only */
/* Fault injection: the interface between C and Rust. */
#ifndef XEN_PV_MMU_FAULT_H
#define XEN_PV_MMU_FAULT_H

/* Kinds of operations that can fail; each has a directory in debugfs. */
enum xen_pv_mmu_fault {
	XEN_PV_MMU_FAULT_PROTECTION,
	XEN_PV_MMU_FAULT_UPDATE,
	XEN_PV_MMU_FAULT_REMAP,
	XEN_PV_MMU_FAULT_PIN,
	XEN_PV_MMU_FAULT_UNPIN,
	XEN_PV_MMU_FAULT_EXT,
	XEN_PV_MMU_FAULT_VA_MAPPING,
	XEN_PV_MMU_FAULT_EXCHANGE,
	XEN_PV_MMU_FAULT_GRANT,
	XEN_PV_MMU_FAULT_ALLOC,
};

int xen_pv_mmu_fault(enum xen_pv_mmu_fault kind);
void xen_pv_mmu_fault_arm(enum xen_pv_mmu_fault kind, unsigned int index,
			  unsigned int times, unsigned int error);
unsigned int xen_pv_mmu_fault_disarm(enum xen_pv_mmu_fault kind);
bool xen_pv_mmu_fault_pause(void);
void xen_pv_mmu_fault_resume(bool fails);

#endif /* XEN_PV_MMU_FAULT_H */
