/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execute: instructions that a probe has put somewhere, with every register loaded.
 *
 * in:   code_address -> the instructions; they end with a jump to landed_execute
 * out:  what they left, as after an entry path
 * uses: what they use
 */
#include "entry.h"

ENTRY_PATH execute
	jmp	*code_address
ENTRY_DONE execute

	.bss
	.globl	code_address
	.balign	8
code_address:
	.skip	8
