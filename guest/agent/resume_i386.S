/* SPDX-License-Identifier: Apache-2.0 */
/* The ways out of a call and out of a signal, and a copy that survives a bad address. */
#include "facts.h"
#include "numbers.h"

#define CHILDS_STATUS 5 /* what a child ends with, for its parent to be told */

/*
 * leave_entry: return to the C code that called enter_*. A call that came back twice has made a
 * child, of which nobody wants to hear: it ends here, before it can write to a stack that it may
 * share with its parent (vfork).
 *
 * in:   own_stack as ENTRY_PATH left it, `after`, own_thread (0: children may live)
 * out:  ebx esi edi ebp as C wants them, clean flags
 * uses: eax ebx esp
 */
	.globl	leave_entry
leave_entry:
	cmpl	$0, after + SLOT(REG_EAX)
	jne	1f
	cmpl	$0, own_thread
	je	1f
	movl	$NR_gettid, %eax
	int	$0x80
	cmpl	own_thread, %eax
	je	1f
	movl	$NR_exit, %eax
	movl	$CHILDS_STATUS, %ebx
	int	$0x80
1:	movl	own_stack, %esp
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
	.globl	before, after, own_stack, own_thread
	.balign	8
before:
	.skip	SLOT(REGISTER_SLOTS)
after:
	.skip	SLOT(REGISTER_SLOTS)
own_stack:
	.skip	8
own_thread:
	.skip	8

	.section .note.GNU-stack, "", @progbits
