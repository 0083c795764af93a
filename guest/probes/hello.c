// SPDX-License-Identifier: Apache-2.0
/*
 * hello: the textbook's first program: writes a line and ends, each by one call.
 *
 * Takes:  the entry path; the number of the call that ends it; the status to end with.
 * Asks:   does a program need anything but the kernel? with which status does it end?
 * Known:  nothing.
 * Source: kernel/exit.c do_exit, do_group_exit (6.1)
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"

_Noreturn void c_main(const uptr *stack);

_Noreturn void c_main(const uptr *stack)
{
	static const char line[] = "hello 0000000000000001\n";
	u32 entry = (u32)argument(stack, 1);
	long nr_write = NR_write;

#ifdef __x86_64__
	if (entry == ENTRY_INT80_64)
		nr_write = 4;
#endif
	prepare_to_enter(stack);
	enter3(entry, nr_write, 1, (uptr)line, sizeof(line) - 1);
	enter1(entry, argument(stack, 2), argument(stack, 3));
	report("survived", 1);
	die(99);
}
