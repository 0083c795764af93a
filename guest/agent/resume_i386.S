/* SPDX-License-Identifier: Apache-2.0 */
/* The ways out of a call and out of a signal, and a copy that survives a bad address. */
#include "facts.h"

/*
 * leave_entry: return to the C code that called enter_*.
 *
 * in:   own_stack as ENTRY_PATH left it
 * out:  ebx esi edi ebp as C wants them, clean flags
 * uses: esp
 */
	.globl	leave_entry
leave_entry:
	movl	own_stack, %esp
	pushl	$0x202
	popfl
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	ret

/*
 * guarded_copy(to, from, bytes): copy, and stop at an address that faults.
 *
 * in:   C arguments; the signal handler goes from guarded_copy_moves to guarded_copy_resumes
 * out:  eax bytes not copied
 * uses: ecx
 */
	.globl	guarded_copy, guarded_copy_moves, guarded_copy_resumes
guarded_copy:
	pushl	%esi
	pushl	%edi
	movl	12(%esp), %edi
	movl	16(%esp), %esi
	movl	20(%esp), %ecx
guarded_copy_moves:
	rep movsb
guarded_copy_resumes:
	movl	%ecx, %eax
	popl	%edi
	popl	%esi
	ret

/*
 * restore_from_signal: where a handler returns to.
 *
 * in:   esp at the frame that the kernel built
 * out:  does not return
 * uses: everything
 * Source: arch/x86/kernel/signal_32.c, SA_RESTORER (6.1)
 */
	.globl	restore_from_signal
restore_from_signal:
	movl	$173, %eax
	int	$0x80

	.bss
	.globl	before, after, own_stack
	.balign	8
before:
	.skip	SLOT(REGISTER_SLOTS)
after:
	.skip	SLOT(REGISTER_SLOTS)
own_stack:
	.skip	8

	.section .note.GNU-stack, "", @progbits
