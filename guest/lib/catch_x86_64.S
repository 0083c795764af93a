/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_signal: a handler that keeps every register it was started with.
 *
 * in:   whatever the kernel starts a handler with
 * out:  all of it in at_arrival; on_signal(rsp) has been called; returns to where the frame says
 * uses: 8 bytes of the handler's stack, and what on_signal uses
 */
#include "facts.h"

	.globl	take_signal, restore_from_old_signal
take_signal:
	movq	%rax, at_arrival + SLOT(REG_RAX)
	movq	%rbx, at_arrival + SLOT(REG_RBX)
	movq	%rcx, at_arrival + SLOT(REG_RCX)
	movq	%rdx, at_arrival + SLOT(REG_RDX)
	movq	%rsi, at_arrival + SLOT(REG_RSI)
	movq	%rdi, at_arrival + SLOT(REG_RDI)
	movq	%rbp, at_arrival + SLOT(REG_RBP)
	movq	%rsp, at_arrival + SLOT(REG_RSP)
	movq	%r8, at_arrival + SLOT(REG_R8)
	movq	%r9, at_arrival + SLOT(REG_R9)
	movq	%r10, at_arrival + SLOT(REG_R10)
	movq	%r11, at_arrival + SLOT(REG_R11)
	movq	%r12, at_arrival + SLOT(REG_R12)
	movq	%r13, at_arrival + SLOT(REG_R13)
	movq	%r14, at_arrival + SLOT(REG_R14)
	movq	%r15, at_arrival + SLOT(REG_R15)
	pushfq
	popq	at_arrival + SLOT(REG_FLAGS)
	movq	$take_signal, at_arrival + SLOT(REG_IP)
	movw	%cs, at_arrival + SLOT(REG_CS)
	movw	%ss, at_arrival + SLOT(REG_SS)
	movw	%ds, at_arrival + SLOT(REG_DS)
	movw	%es, at_arrival + SLOT(REG_ES)
	movw	%fs, at_arrival + SLOT(REG_FS)
	movw	%gs, at_arrival + SLOT(REG_GS)
	cld
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	on_signal
	movq	%rbx, %rsp
	ret

/* There is no older frame. */
restore_from_old_signal:
	jmp	restore_from_signal

	.bss
	.globl	at_arrival
	.balign	8
at_arrival:
	.skip	SLOT(REGISTER_SLOTS)

	.section .note.GNU-stack, "", @progbits
