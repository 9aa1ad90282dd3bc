// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions by which Rust fires the trace events of
 * include/trace/events/xen.h while they are on.
 */
#include <linux/tracepoint.h>

#include <asm/tlbflush.h>
#include <trace/events/xen.h>

#ifdef CONFIG_TRACEPOINTS

#define XEN_RUST_TRACE(name, proto, args) \
	__DEFINE_RUST_DO_TRACE(name, PARAMS(proto), PARAMS(args))

XEN_RUST_TRACE(xen_mc_batch, TP_PROTO(unsigned long flags), TP_ARGS(flags))
XEN_RUST_TRACE(xen_mc_issue, TP_PROTO(bool flush, unsigned long flags),
	       TP_ARGS(flush, flags))
XEN_RUST_TRACE(xen_mc_entry,
	       TP_PROTO(struct multicall_entry *mc, unsigned int nargs),
	       TP_ARGS(mc, nargs))
XEN_RUST_TRACE(xen_mc_entry_alloc, TP_PROTO(size_t args), TP_ARGS(args))
XEN_RUST_TRACE(xen_mc_callback, TP_PROTO(xen_mc_callback_fn_t fn, void *data),
	       TP_ARGS(fn, data))
XEN_RUST_TRACE(xen_mc_flush_reason, TP_PROTO(enum xen_mc_flush_reason reason),
	       TP_ARGS(reason))
XEN_RUST_TRACE(xen_mc_flush,
	       TP_PROTO(unsigned int mcidx, unsigned int argidx, unsigned int cbidx),
	       TP_ARGS(mcidx, argidx, cbidx))
XEN_RUST_TRACE(xen_mc_extend_args,
	       TP_PROTO(unsigned long op, size_t args, enum xen_mc_extend_args res),
	       TP_ARGS(op, args, res))
XEN_RUST_TRACE(xen_mmu_set_pte, TP_PROTO(pte_t *ptep, pte_t pteval),
	       TP_ARGS(ptep, pteval))
XEN_RUST_TRACE(xen_mmu_set_pmd, TP_PROTO(pmd_t *pmdp, pmd_t pmdval),
	       TP_ARGS(pmdp, pmdval))
XEN_RUST_TRACE(xen_mmu_set_pud, TP_PROTO(pud_t *pudp, pud_t pudval),
	       TP_ARGS(pudp, pudval))
XEN_RUST_TRACE(xen_mmu_set_p4d,
	       TP_PROTO(p4d_t *p4dp, p4d_t *user_p4dp, p4d_t p4dval),
	       TP_ARGS(p4dp, user_p4dp, p4dval))
XEN_RUST_TRACE(xen_mmu_ptep_modify_prot_start,
	       TP_PROTO(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
			pte_t pteval),
	       TP_ARGS(mm, addr, ptep, pteval))
XEN_RUST_TRACE(xen_mmu_ptep_modify_prot_commit,
	       TP_PROTO(struct mm_struct *mm, unsigned long addr, pte_t *ptep,
			pte_t pteval),
	       TP_ARGS(mm, addr, ptep, pteval))
XEN_RUST_TRACE(xen_mmu_alloc_ptpage,
	       TP_PROTO(struct mm_struct *mm, unsigned long pfn,
			unsigned int level, bool pinned),
	       TP_ARGS(mm, pfn, level, pinned))
XEN_RUST_TRACE(xen_mmu_release_ptpage,
	       TP_PROTO(unsigned long pfn, unsigned int level, bool pinned),
	       TP_ARGS(pfn, level, pinned))
XEN_RUST_TRACE(xen_mmu_pgd_pin, TP_PROTO(struct mm_struct *mm, pgd_t *pgd),
	       TP_ARGS(mm, pgd))
XEN_RUST_TRACE(xen_mmu_pgd_unpin, TP_PROTO(struct mm_struct *mm, pgd_t *pgd),
	       TP_ARGS(mm, pgd))
XEN_RUST_TRACE(xen_mmu_flush_tlb_one_user, TP_PROTO(unsigned long addr),
	       TP_ARGS(addr))
XEN_RUST_TRACE(xen_mmu_flush_tlb_multi,
	       TP_PROTO(const struct cpumask *cpus, struct mm_struct *mm,
			unsigned long addr, unsigned long end),
	       TP_ARGS(cpus, mm, addr, end))
XEN_RUST_TRACE(xen_mmu_write_cr3, TP_PROTO(bool kernel, unsigned long cr3),
	       TP_ARGS(kernel, cr3))

#endif /* CONFIG_TRACEPOINTS */
