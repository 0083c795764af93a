/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start_child(child, argument): a process with our memory and a stack of its own.
 *
 * in:   rdi: what it runs, rsi: for it
 * out:  rax, its number, or negative for -errno; when it has ended or become another program
 * uses: what a C function may use
 *
 * Source: include/uapi/linux/sched.h CLONE_VM, CLONE_VFORK (6.1)
 */
#include "numbers.h"

	.globl	start_child
start_child:
	pushq	%rbx
	pushq	%rbp
	movq	%rdi, %rbx
	movq	%rsi, %rbp
	movl	$(CLONE_VM | CLONE_VFORK | SIGCHLD), %edi
	movq	$child_stack_end, %rsi
	xorl	%edx, %edx
	xorl	%r10d, %r10d
	xorl	%r8d, %r8d
	movl	$NR_clone, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	popq	%rbp
	popq	%rbx
	ret
1:	movq	%rbp, %rdi
	call	*%rbx
	ud2

	.bss
	.balign	16
	.skip	4096
child_stack_end:

	.section .note.GNU-stack, "", @progbits
