/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start_child(child, argument): a process with our memory and a stack of its own.
 *
 * in:   on the stack: what it runs, for it
 * out:  eax, its number, or negative for -errno; when it has ended or become another program
 * uses: what a C function may use
 *
 * Source: include/uapi/linux/sched.h CLONE_VM, CLONE_VFORK (6.1)
 */
#include "numbers.h"

	.globl	start_child
start_child:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	%ebp
	movl	20(%esp), %edi
	movl	24(%esp), %ebp
	movl	$(CLONE_VM | CLONE_VFORK | SIGCHLD), %ebx
	movl	$child_stack_end, %ecx
	xorl	%edx, %edx
	xorl	%esi, %esi
	movl	$NR_clone, %eax
	int	$0x80
	testl	%eax, %eax
	jz	1f
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	ret
1:	subl	$12, %esp
	pushl	%ebp
	call	*%edi
	ud2

	.bss
	.balign	16
	.skip	4096
child_stack_end:

	.section .note.GNU-stack, "", @progbits
