// SPDX-License-Identifier: Apache-2.0
/*
 * forked: makes a child through an entry path, with every register and flag set.
 *
 * Takes:  the entry path; the number of fork or of clone; its first argument; the flags.
 * Asks:   what do parent and child find in their registers behind that call? Of those in which the
 *         child's differ from the parent's: which are they, as bits?
 * Known:  nothing.
 * Source: arch/x86/kernel/process.c copy_thread; entry_64.S, entry_32.S ret_from_fork (6.1)
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"

_Noreturn void c_main(const uptr *stack);

_Noreturn void c_main(const uptr *stack)
{
	u32 entry = (u32)argument(stack, 1);
	u64 *childs = (u64 *)sys6(NR_mmap, 0, PAGE_BYTES, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 mask = 0;
	long child;
	int status = 0;

	prepare_to_enter(stack);
	load_call(entry, (long)argument(stack, 2), (long)argument(stack, 3), 0, 0, 0, 0, 0);
	before[REG_FLAGS] = argument(stack, 4);
	child = go_through(entry);
	if (!child) {
		memcpy(childs, after, SLOT(REGISTER_SLOTS));
		die(17);
	}
	report("waited", (u64)(sys4(NR_wait4, -1, &status, 0, NULL) == child));
	for (u32 i = 1; i < REGISTER_SLOTS; i++)
		mask |= (u64)(childs[i] != after[i]) << i;
	report("differing", mask);
	report("child", (u64)child);
	report("childs result", childs[0]);
	report("childs flags", childs[REG_FLAGS]);
	report("status", (u64)status);
	die(0);
}
