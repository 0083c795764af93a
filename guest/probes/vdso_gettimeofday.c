// SPDX-License-Identifier: Apache-2.0
/*
 * vdso_gettimeofday: calls the vDSO's gettimeofday many times in a row, each between two
 * system calls of the same name.
 *
 * Asks:   is it there under version LINUX_2.6? does it ever go back? does what it says lie between
 *         what the system call says before and after?
 * Known:  a vDSO without a usable clock source makes the system call itself; all answers hold then
 *         too.
 * Source: arch/x86/entry/vdso/vdso.lds.S, vdso32/vdso32.lds.S, lib/vdso/gettimeofday.c (6.1)
 */
#include "numbers.h"
#include "report.h"
#include "vdso.h"

#define ROUNDS 2000

struct timeval {
	long s, us;
};

#ifdef __x86_64__
#define NR_gettimeofday 96
#else
#define NR_gettimeofday 78
#endif

_Noreturn void c_main(const uptr *stack);

static u64 microseconds(const struct timeval *t)
{
	return (u64)t->s * 1000000u + (u64)t->us;
}

static u64 ask_kernel(void)
{
	struct timeval t = { 0, 0 };

	sys2(NR_gettimeofday, &t, NULL);
	return microseconds(&t);
}

_Noreturn void c_main(const uptr *stack)
{
	uptr base = auxiliary(stack, AT_SYSINFO_EHDR);
	int (*gettimeofday)(struct timeval *, void *);
	u64 backwards = 0, early = 0, late = 0, failed = 0, last = 0, first = ask_kernel();

	*(uptr *)&gettimeofday = find_in_vdso(base, "__vdso_gettimeofday", "LINUX_2.6");
	report("found", gettimeofday != NULL);
	for (u32 round = 0; gettimeofday && round < ROUNDS; round++) {
		u64 before = ask_kernel();
		struct timeval t = { 0, 0 };
		u64 said;

		failed += gettimeofday(&t, NULL) != 0;
		said = microseconds(&t);
		backwards += said < last;
		early += said < before;
		late += said > ask_kernel();
		last = said;
	}
	report("rounds", ROUNDS);
	report("failed", failed);
	report("backwards", backwards);
	report("before_the_call", early);
	report("after_the_call", late);
	report("elapsed_us", ask_kernel() - first);
	die(0);
}
