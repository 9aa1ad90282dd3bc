/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversions of page-table entries. Paravirt call sites expect that they
 * change no register but %rax.
 *
 * They are the most frequent operation of all, so the common case is handled
 * here with as few registers as possible. All other cases go to Rust
 * (convert.rs), and CALL_RUST saves all caller-saved registers.
 *
 * The entry is in %rdi. Bits 12 to 51 hold the frame: a shift left by 12 bits
 * and a shift right by 24 bits extract it. To replace one frame by another, the
 * code adds their difference, shifted to the place of the frame.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>

#include <asm/asm.h>
#include <asm/frame.h>
#include <asm/nospec-branch.h>
#include <asm/page_types.h>

.macro CALL_RUST name
	FRAME_BEGIN
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	call \name
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	FRAME_END
	RET
.endm

/*
 * Machine frame to pseudo-physical frame: reads Xen's m2p table, which may
 * fault, and the p2m list, which has to agree.
 */
.macro VAL_FUNC name
SYM_FUNC_START(__raw_callee_save_\name)
	ENDBR
	mov %rdi, %rax
	test $1, %dil
	jz .Lasis_\name
	push %rcx
	push %rdx
	mov %rdi, %rcx
	shl $12, %rcx
	shr $24, %rcx
	cmp machine_to_phys_nr(%rip), %rcx
	jae .Lrust_\name
	mov machine_to_phys_mapping(%rip), %rax
.Lread_\name:
	mov (%rax,%rcx,8), %rax
	cmp xen_p2m_size(%rip), %rax
	jae .Lrust_\name
	mov xen_p2m_addr(%rip), %rdx
	cmp (%rdx,%rax,8), %rcx
	jne .Lrust_\name
	sub %rcx, %rax
	shl $12, %rax
	add %rdi, %rax
	pop %rdx
	pop %rcx
.Lasis_\name:
	RET
.Lrust_\name:
	pop %rdx
	pop %rcx
	CALL_RUST \name
	_ASM_EXTABLE(.Lread_\name, .Lrust_\name)
SYM_FUNC_END(__raw_callee_save_\name)
.endm

/*
 * The same above level 1. Xen refuses every present entry there that does not
 * point to a table of the domain's own, so the m2p table is right about the
 * frame. This needs no other register: two exclusive ors restore the flags,
 * which are outside of the mask.
 */
.macro TABLE_VAL_FUNC name
SYM_FUNC_START(__raw_callee_save_\name)
	ENDBR
	mov %rdi, %rax
	test $1, %dil
	jz .Lasis_\name
	and .Lframe_mask(%rip), %rax
	shr $(PAGE_SHIFT - 3), %rax
	add machine_to_phys_mapping(%rip), %rax
.Lread_\name:
	mov (%rax), %rax
	cmp xen_p2m_size(%rip), %rax
	jae .Lrust_\name
	shl $PAGE_SHIFT, %rax
	xor %rdi, %rax
	and .Lframe_mask(%rip), %rax
	xor %rdi, %rax
.Lasis_\name:
	RET
.Lrust_\name:
	CALL_RUST \name
	_ASM_EXTABLE(.Lread_\name, .Lrust_\name)
SYM_FUNC_END(__raw_callee_save_\name)
.endm

/* Pseudo-physical frame to machine frame: reads the p2m list. */
.macro MAKE_FUNC name
SYM_FUNC_START(__raw_callee_save_\name)
	ENDBR
	mov %rdi, %rax
	test $1, %dil
	jz .Lasis_\name
	push %rcx
	mov %rdi, %rcx
	shl $12, %rcx
	shr $24, %rcx
	cmp xen_p2m_size(%rip), %rcx
	jae .Lrust_\name
	mov xen_p2m_addr(%rip), %rax
	mov (%rax,%rcx,8), %rax
	/* A missing or foreign frame; the tag of an identity frame is shifted out. */
	test %rax, %rax
	js .Lrust_\name
	sub %rcx, %rax
	shl $12, %rax
	add %rdi, %rax
	pop %rcx
.Lasis_\name:
	RET
.Lrust_\name:
	pop %rcx
	CALL_RUST \name
SYM_FUNC_END(__raw_callee_save_\name)
.endm

	.section .rodata
	.balign 8
.Lframe_mask:
	.quad 0x000ffffffffff000

	.text

VAL_FUNC xen_pte_val
TABLE_VAL_FUNC xen_pmd_val
TABLE_VAL_FUNC xen_pud_val
TABLE_VAL_FUNC xen_p4d_val
TABLE_VAL_FUNC xen_pgd_val

MAKE_FUNC xen_make_pte
MAKE_FUNC xen_make_pmd
MAKE_FUNC xen_make_pud
MAKE_FUNC xen_make_p4d
MAKE_FUNC xen_make_pgd

/* Used while the direct map is built, and never on a hot path. */
SYM_FUNC_START(__raw_callee_save_xen_make_pte_init)
	ENDBR
	CALL_RUST xen_make_pte_init
SYM_FUNC_END(__raw_callee_save_xen_make_pte_init)
