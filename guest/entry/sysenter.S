/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysenter: the instruction itself. The processor keeps no return address: the kernel goes back
 * to its landing pad in the vDSO, which pops ebp, edx and ecx and returns to the caller.
 *
 * in:   eax number; ebx ecx edx esi edi ebp arguments one to six; esp a writable stack
 * out:  eax result; everything else as it was
 * uses: 16 bytes below esp
 * Source: arch/x86/entry/vdso/vdso32/system_call.S; entry_32.S entry_SYSENTER_32 (6.1)
 */
#include "entry.h"

ENTRY_PATH sysenter
	pushl	$landed_sysenter
	pushl	%ecx
	pushl	%edx
	pushl	%ebp
	movl	%esp, %ebp
	sysenter
ENTRY_DONE sysenter
