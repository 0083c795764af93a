/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_i386: a call of a C function, wherever it lies.
 *
 * in:   eax its address; ebx ecx edx esi arguments one to four, which go onto the stack
 * out:  eax result; ecx edx and flags as the function left them; everything else as it was
 * uses: 20 bytes below esp, and what the function uses
 * Source: System V ABI, i386 supplement, chapter 3
 */
#include "entry.h"

ENTRY_PATH function_i386
	pushl	%esi
	pushl	%edx
	pushl	%ecx
	pushl	%ebx
	call	*%eax
	leal	16(%esp), %esp
ENTRY_DONE function_i386
