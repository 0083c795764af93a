/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscall: the 64-bit system call.
 *
 * in:   rax number; rdi rsi rdx r10 r8 r9 arguments one to six
 * out:  rax result; rcx the address of the next instruction, r11 the flags; the rest as it was
 * uses: no memory
 * Source: arch/x86/entry/entry_64.S entry_SYSCALL_64 (6.1)
 */
#include "entry.h"

ENTRY_PATH syscall
	syscall
ENTRY_DONE syscall
