/* SPDX-License-Identifier: Apache-2.0 */
/*
 * _start: the first instruction of a program.
 *
 * in:   every register as execve left it; rsp -> argc, argv, NULL, envp, NULL, auxv
 * out:  all of them in first_registers; c_main(rsp) is called and does not return
 * uses: everything
 */
#include "facts.h"

	.globl	_start
_start:
	movq	%rax, first_registers + SLOT(REG_RAX)
	movq	%rbx, first_registers + SLOT(REG_RBX)
	movq	%rcx, first_registers + SLOT(REG_RCX)
	movq	%rdx, first_registers + SLOT(REG_RDX)
	movq	%rsi, first_registers + SLOT(REG_RSI)
	movq	%rdi, first_registers + SLOT(REG_RDI)
	movq	%rbp, first_registers + SLOT(REG_RBP)
	movq	%rsp, first_registers + SLOT(REG_RSP)
	movq	%r8, first_registers + SLOT(REG_R8)
	movq	%r9, first_registers + SLOT(REG_R9)
	movq	%r10, first_registers + SLOT(REG_R10)
	movq	%r11, first_registers + SLOT(REG_R11)
	movq	%r12, first_registers + SLOT(REG_R12)
	movq	%r13, first_registers + SLOT(REG_R13)
	movq	%r14, first_registers + SLOT(REG_R14)
	movq	%r15, first_registers + SLOT(REG_R15)
	movq	%rsp, %rdi
	pushfq
	popq	first_registers + SLOT(REG_FLAGS)
	movq	$_start, first_registers + SLOT(REG_IP)
	movw	%cs, first_registers + SLOT(REG_CS)
	movw	%ss, first_registers + SLOT(REG_SS)
	movw	%ds, first_registers + SLOT(REG_DS)
	movw	%es, first_registers + SLOT(REG_ES)
	movw	%fs, first_registers + SLOT(REG_FS)
	movw	%gs, first_registers + SLOT(REG_GS)
	andq	$-16, %rsp
	call	c_main

/*
 * raw_syscall(nr, a, b, c, d, e, f): one call through syscall.
 *
 * in:   C arguments: rdi, rsi, rdx, rcx, r8, r9, one on the stack
 * out:  rax, negative for -errno
 * uses: what a C function may use
 */
	.globl	raw_syscall
raw_syscall:
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret

	.bss
	.globl	first_registers
	.balign	8
first_registers:
	.skip	SLOT(REGISTER_SLOTS)

	.section .note.GNU-stack, "", @progbits
