/* SPDX-License-Identifier: Apache-2.0 */
/*
 * _start: the first instruction of a program.
 *
 * in:   every register as execve left it; esp -> argc, argv, NULL, envp, NULL, auxv
 * out:  all of them in first_registers; c_main(esp) is called and does not return
 * uses: everything
 */
#include "facts.h"

	.globl	_start
_start:
	movl	%eax, first_registers + SLOT(REG_EAX)
	movl	%ebx, first_registers + SLOT(REG_EBX)
	movl	%ecx, first_registers + SLOT(REG_ECX)
	movl	%edx, first_registers + SLOT(REG_EDX)
	movl	%esi, first_registers + SLOT(REG_ESI)
	movl	%edi, first_registers + SLOT(REG_EDI)
	movl	%ebp, first_registers + SLOT(REG_EBP)
	movl	%esp, first_registers + SLOT(REG_ESP)
	movl	%esp, %ebx
	pushfl
	popl	first_registers + SLOT(REG_FLAGS)
	movl	$_start, first_registers + SLOT(REG_IP)
	movw	%cs, first_registers + SLOT(REG_CS)
	movw	%ss, first_registers + SLOT(REG_SS)
	movw	%ds, first_registers + SLOT(REG_DS)
	movw	%es, first_registers + SLOT(REG_ES)
	movw	%fs, first_registers + SLOT(REG_FS)
	movw	%gs, first_registers + SLOT(REG_GS)
	andl	$-16, %esp
	subl	$12, %esp
	pushl	%ebx
	call	c_main

/*
 * raw_syscall(nr, a, b, c, d, e, f): one call through int $0x80.
 *
 * in:   C arguments on the stack
 * out:  eax, negative for -errno
 * uses: nothing else
 */
	.globl	raw_syscall
raw_syscall:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	%ebp
	movl	20(%esp), %eax
	movl	24(%esp), %ebx
	movl	28(%esp), %ecx
	movl	32(%esp), %edx
	movl	36(%esp), %esi
	movl	40(%esp), %edi
	movl	44(%esp), %ebp
	int	$0x80
	popl	%ebp
	popl	%edi
	popl	%esi
	popl	%ebx
	ret

	.bss
	.globl	first_registers
	.balign	8
first_registers:
	.skip	SLOT(REGISTER_SLOTS)

	.section .note.GNU-stack, "", @progbits
