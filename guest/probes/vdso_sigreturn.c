// SPDX-License-Identifier: Apache-2.0
/*
 * vdso_sigreturn: handles a signal without a restorer of its own. The first argument is whether
 * with siginfo; the second, if not 0, the size of the vDSO, which is moved before.
 *
 * Asks:   where does a handler return to? does that bring the program back?
 * Known:  a kernel without mremap support for the vDSO returns to where it was.
 * Source: arch/x86/kernel/signal.c __setup_frame, __setup_rt_frame; vma.c vdso_mremap (6.1)
 */
#include "numbers.h"
#include "report.h"
#include "vdso.h"

#define NR_mremap_i386 163
#define MREMAP_MAYMOVE_FIXED 3
#define ELSEWHERE 0x30000000ul
#define SIGUSR1 10
#define SA_SIGINFO 4

_Noreturn void c_main(const uptr *stack);

struct action {
	void *handler;
	uptr flags;
	void *restorer;
	u64 mask;
};

static volatile uptr returns_to;
static volatile u32 handled;

static void handle(int signal)
{
	(void)signal;
	returns_to = (uptr)__builtin_return_address(0);
	handled++;
}

_Noreturn void c_main(const uptr *stack)
{
	const struct action action = { (void *)handle, argument(stack, 1) ? SA_SIGINFO : 0, NULL,
				       0 };
	uptr ehdr = auxiliary(stack, AT_SYSINFO_EHDR), size = (uptr)argument(stack, 2);
	uptr base = ehdr;
	long result;

	if (size)
		base = (uptr)sys5(NR_mremap_i386, ehdr, size, size, MREMAP_MAYMOVE_FIXED,
				  ELSEWHERE);
	sys4(NR_rt_sigaction, SIGUSR1, &action, NULL, 8);
	result = sys2(NR_kill, sys0(NR_getpid), SIGUSR1);
	report("ehdr", ehdr);
	report("base", base);
	report("returns_to", returns_to);
	report("handled", handled);
	report("result", (u64)result);
	die(0);
}
