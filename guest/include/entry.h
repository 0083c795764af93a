/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame around the one instruction that an entry path's file is about.
 *
 * ENTRY_PATH name	opens void enter_name(void): keeps what C wants kept, loads every general
 *			register and the flags from `before`, the stack pointer last.
 * ENTRY_DONE name	stores every general register, the flags, the segments and its own address
 *			into `after`, puts the executor's stack and clean flags back, returns.
 *
 * Everything is addressed absolutely, since between the two no register is ours.
 */
#ifndef ENTRY_H
#define ENTRY_H

#include "facts.h"

#ifdef __x86_64__

	.macro	ENTRY_PATH name
	.globl	enter_\name
enter_\name:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, own_stack
	movq	before + SLOT(REG_RAX), %rax
	movq	before + SLOT(REG_RBX), %rbx
	movq	before + SLOT(REG_RCX), %rcx
	movq	before + SLOT(REG_RDX), %rdx
	movq	before + SLOT(REG_RSI), %rsi
	movq	before + SLOT(REG_RDI), %rdi
	movq	before + SLOT(REG_RBP), %rbp
	movq	before + SLOT(REG_R8), %r8
	movq	before + SLOT(REG_R9), %r9
	movq	before + SLOT(REG_R10), %r10
	movq	before + SLOT(REG_R11), %r11
	movq	before + SLOT(REG_R12), %r12
	movq	before + SLOT(REG_R13), %r13
	movq	before + SLOT(REG_R14), %r14
	movq	before + SLOT(REG_R15), %r15
	movq	$before + SLOT(REG_FLAGS), %rsp
	popfq
	movq	before + SLOT(REG_RSP), %rsp
	.endm

	.macro	ENTRY_DONE name
	.globl	landed_\name
landed_\name:
	movq	%rsp, after + SLOT(REG_RSP)
	movq	own_stack, %rsp
	pushfq
	popq	after + SLOT(REG_FLAGS)
	movq	%rax, after + SLOT(REG_RAX)
	movq	%rbx, after + SLOT(REG_RBX)
	movq	%rcx, after + SLOT(REG_RCX)
	movq	%rdx, after + SLOT(REG_RDX)
	movq	%rsi, after + SLOT(REG_RSI)
	movq	%rdi, after + SLOT(REG_RDI)
	movq	%rbp, after + SLOT(REG_RBP)
	movq	%r8, after + SLOT(REG_R8)
	movq	%r9, after + SLOT(REG_R9)
	movq	%r10, after + SLOT(REG_R10)
	movq	%r11, after + SLOT(REG_R11)
	movq	%r12, after + SLOT(REG_R12)
	movq	%r13, after + SLOT(REG_R13)
	movq	%r14, after + SLOT(REG_R14)
	movq	%r15, after + SLOT(REG_R15)
	movq	$landed_\name, after + SLOT(REG_IP)
	movw	%cs, after + SLOT(REG_CS)
	movw	%ss, after + SLOT(REG_SS)
	movw	%ds, after + SLOT(REG_DS)
	movw	%es, after + SLOT(REG_ES)
	movw	%fs, after + SLOT(REG_FS)
	movw	%gs, after + SLOT(REG_GS)
	jmp	leave_entry
	.section .note.GNU-stack, "", @progbits
	.endm

#else

	.macro	ENTRY_PATH name
	.globl	enter_\name
enter_\name:
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	%ebp
	movl	%esp, own_stack
	movl	before + SLOT(REG_EAX), %eax
	movl	before + SLOT(REG_EBX), %ebx
	movl	before + SLOT(REG_ECX), %ecx
	movl	before + SLOT(REG_EDX), %edx
	movl	before + SLOT(REG_ESI), %esi
	movl	before + SLOT(REG_EDI), %edi
	movl	before + SLOT(REG_EBP), %ebp
	movl	$before + SLOT(REG_FLAGS), %esp
	popfl
	movl	before + SLOT(REG_ESP), %esp
	.endm

	.macro	ENTRY_DONE name
	.globl	landed_\name
landed_\name:
	movl	%esp, after + SLOT(REG_ESP)
	movl	own_stack, %esp
	pushfl
	popl	after + SLOT(REG_FLAGS)
	movl	%eax, after + SLOT(REG_EAX)
	movl	%ebx, after + SLOT(REG_EBX)
	movl	%ecx, after + SLOT(REG_ECX)
	movl	%edx, after + SLOT(REG_EDX)
	movl	%esi, after + SLOT(REG_ESI)
	movl	%edi, after + SLOT(REG_EDI)
	movl	%ebp, after + SLOT(REG_EBP)
	movl	$landed_\name, after + SLOT(REG_IP)
	movw	%cs, after + SLOT(REG_CS)
	movw	%ss, after + SLOT(REG_SS)
	movw	%ds, after + SLOT(REG_DS)
	movw	%es, after + SLOT(REG_ES)
	movw	%fs, after + SLOT(REG_FS)
	movw	%gs, after + SLOT(REG_GS)
	jmp	leave_entry
	.section .note.GNU-stack, "", @progbits
	.endm

#endif
#endif
