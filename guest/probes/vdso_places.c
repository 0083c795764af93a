// SPDX-License-Identifier: Apache-2.0
/*
 * vdso_places: starts itself again and again; each time it says where its vDSO and its stack are.
 * The argument is how often.
 *
 * Asks:   how many bits of the vDSO's address are random? does the stack's address give it away?
 * Known:  CVE-2014-9585: near the end of the stack's page table, with few bits.
 * Source: arch/x86/entry/vdso/vma.c vdso_addr, map_vdso_randomized (6.1)
 */
#include "numbers.h"
#include "report.h"
#include "vdso.h"

_Noreturn void c_main(const uptr *stack);

static char digit(u64 value)
{
	return "0123456789abcdef"[value & 15];
}

static void report_numbered(char *name, u64 number, u64 value)
{
	uptr end = strlen(name);

	name[end - 2] = digit(number >> 4);
	name[end - 1] = digit(number);
	report(name, value);
}

_Noreturn void c_main(const uptr *stack)
{
	static char vdso[] = "vdso_00", frame[] = "stack_00", left[3];
	static const char path[] = "/proc/self/exe";
	const char *const arguments[] = { (const char *)stack[1], left, NULL };
	const char *const no_environment[] = { NULL };
	u64 rounds = argument(stack, 1);

	report_numbered(vdso, rounds, auxiliary(stack, AT_SYSINFO_EHDR));
	report_numbered(frame, rounds, (uptr)stack);
	if (!rounds)
		die(0);
	left[0] = digit((rounds - 1) >> 4);
	left[1] = digit(rounds - 1);
	sys3(NR_execve, path, arguments, no_environment);
	die(1);
}
