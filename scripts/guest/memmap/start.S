/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entry of a Xen with a modified memory map: changes the information of the
 * boot loader and jumps to Xen's own entry. Both are entered as specified by
 * Multiboot (version 0.6.96, section 3.2).
 */
#define HEADER_MAGIC	0x1badb002
#define HEADER_FLAGS	0x00000003	/* modules on whole pages, sizes of memory */
#define LOADER_MAGIC	0x2badb002

	.section .header, "a"
	.align	4
	.long	HEADER_MAGIC, HEADER_FLAGS, -(HEADER_MAGIC + HEADER_FLAGS)

	.text
	.globl	start
start:
	mov	$stack_end, %esp
	push	%ebx
	call	change_map
	pop	%ebx
	mov	$LOADER_MAGIC, %eax
	jmp	XEN_ENTRY

	.bss
	.align	16
	.skip	4096
stack_end:

	.section .xen, "awx"
	.incbin	XEN_SEGMENT
	.skip	XEN_BSS

	.section .note.GNU-stack, "", @progbits
