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
 * out:  rbx rbp r12-r15 as C wants them, clean flags
 * uses: rax rcx rdi r11 rsp
 */
	.globl	leave_entry
leave_entry:
	cmpq	$0, after + SLOT(REG_RAX)
	jne	1f
	cmpq	$0, own_thread
	je	1f
	movl	$NR_gettid, %eax
	syscall
	cmpq	own_thread, %rax
	je	1f
	movl	$NR_exit, %eax
	movl	$CHILDS_STATUS, %edi
	syscall
1:	movq	own_stack, %rsp
	pushq	$0x202
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/*
 * guarded_copy(to, from, bytes): copy, and stop at an address that faults.
 *
 * in:   C arguments; the signal handler goes from guarded_copy_moves to guarded_copy_resumes
 * out:  rax bytes not copied
 * uses: rcx rsi rdi
 */
	.globl	guarded_copy, guarded_copy_moves, guarded_copy_resumes
guarded_copy:
	movq	%rdx, %rcx
guarded_copy_moves:
	rep movsb
guarded_copy_resumes:
	movq	%rcx, %rax
	ret

/*
 * restore_from_signal: where a handler returns to.
 *
 * in:   rsp at the frame that the kernel built
 * out:  does not return
 * uses: everything
 * Source: arch/x86/kernel/signal_64.c, SA_RESTORER (6.1)
 */
	.globl	restore_from_signal
restore_from_signal:
	movl	$15, %eax
	syscall

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
