/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_vsyscall: the call that a C library makes, to where AT_SYSINFO points.
 *
 * in:   eax number; ebx ecx edx esi edi ebp arguments one to six; esp a writable stack
 * out:  eax result; everything else as it was
 * uses: 16 bytes below esp; a signal's address is inside the vDSO when the stack is bad
 * Source: arch/x86/entry/vdso/vdso32/system_call.S __kernel_vsyscall (6.1)
 */
#include "entry.h"

ENTRY_PATH kernel_vsyscall
	call	*at_sysinfo
ENTRY_DONE kernel_vsyscall
