/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall32: AMD's fast call from 32-bit code under a 64-bit kernel. It overwrites ecx, which
 * therefore travels in ebp; the kernel goes back to the vDSO's landing pad as after sysenter.
 *
 * in:   eax number; ebx ecx edx esi edi ebp arguments one to six; esp a writable stack
 * out:  eax result; everything else as it was
 * uses: 16 bytes below esp
 * Source: arch/x86/entry/vdso/vdso32/system_call.S; entry_64_compat.S entry_SYSCALL_compat (6.1)
 */
#include "entry.h"

ENTRY_PATH syscall32
	pushl	$landed_syscall32
	pushl	%ecx
	pushl	%edx
	pushl	%ebp
	movl	%ecx, %ebp
	syscall
ENTRY_DONE syscall32
