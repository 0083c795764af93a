/* SPDX-License-Identifier: Apache-2.0 */
/*
 * int80: the trap gate, from 32-bit code.
 *
 * in:   eax number; ebx ecx edx esi edi ebp arguments one to six
 * out:  eax result; everything else as it was
 * uses: no memory
 * Source: arch/x86/entry/entry_32.S entry_INT80_32; entry_64_compat.S entry_INT80_compat (6.1)
 */
#include "entry.h"

ENTRY_PATH int80
	int	$0x80
ENTRY_DONE int80
