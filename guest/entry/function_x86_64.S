/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_x86_64: a call of a C function, wherever it lies.
 *
 * in:   rax its address; rdi rsi rdx rcx r8 r9 arguments one to six
 * out:  rax result; rcx rdx rsi rdi r8-r11 and flags as the function left them; the rest as it was
 * uses: 8 bytes below rsp, and what the function uses
 * Source: System V ABI, AMD64 supplement, chapter 3
 */
#include "entry.h"

ENTRY_PATH function_x86_64
	call	*%rax
ENTRY_DONE function_x86_64
