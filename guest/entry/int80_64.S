/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int80_64: the trap gate from 64-bit code, which takes 32-bit numbers and arguments.
 *
 * in:   eax number of the i386 table; ebx ecx edx esi edi ebp arguments one to six
 * out:  rax result; everything else as it was
 * uses: no memory
 * Source: arch/x86/entry/entry_64_compat.S entry_INT80_compat (6.1)
 */
#include "entry.h"

ENTRY_PATH int80_64
	int	$0x80
ENTRY_DONE int80_64
