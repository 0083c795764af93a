/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take_signal: a handler that keeps every register it was started with.
 *
 * in:   whatever the kernel starts a handler with
 * out:  all of it in at_arrival; on_signal(esp) has been called; returns to where the frame says
 * uses: 4 bytes of the handler's stack, and what on_signal uses
 */
#include "facts.h"
#include "numbers.h"

	.globl	take_signal
take_signal:
	movl	%eax, at_arrival + SLOT(REG_EAX)
	movl	%ebx, at_arrival + SLOT(REG_EBX)
	movl	%ecx, at_arrival + SLOT(REG_ECX)
	movl	%edx, at_arrival + SLOT(REG_EDX)
	movl	%esi, at_arrival + SLOT(REG_ESI)
	movl	%edi, at_arrival + SLOT(REG_EDI)
	movl	%ebp, at_arrival + SLOT(REG_EBP)
	movl	%esp, at_arrival + SLOT(REG_ESP)
	pushfl
	popl	at_arrival + SLOT(REG_FLAGS)
	movl	$take_signal, at_arrival + SLOT(REG_IP)
	movw	%cs, at_arrival + SLOT(REG_CS)
	movw	%ss, at_arrival + SLOT(REG_SS)
	movw	%ds, at_arrival + SLOT(REG_DS)
	movw	%es, at_arrival + SLOT(REG_ES)
	movw	%fs, at_arrival + SLOT(REG_FS)
	movw	%gs, at_arrival + SLOT(REG_GS)
	cld
	movl	%esp, %ebx
	andl	$-16, %esp
	subl	$12, %esp
	pushl	%ebx
	call	on_signal
	movl	%ebx, %esp
	ret

/*
 * restore_from_old_signal: where a handler without SA_SIGINFO returns to.
 *
 * in:   esp behind the return address of the frame that the kernel built
 * out:  does not return
 * uses: everything
 * Source: arch/x86/entry/vdso/vdso32/sigreturn.S __kernel_sigreturn (6.1)
 */
	.globl	restore_from_old_signal
restore_from_old_signal:
	popl	%eax
	movl	$NR_sigreturn, %eax
	int	$0x80

	.bss
	.globl	at_arrival
	.balign	8
at_arrival:
	.skip	SLOT(REGISTER_SLOTS)

	.section .note.GNU-stack, "", @progbits
