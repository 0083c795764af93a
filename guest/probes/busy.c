// SPDX-License-Identifier: Apache-2.0
/*
 * busy: makes the same call in a tight loop while a timer sends signals and another process wants the
 * processor.
 *
 * Arguments: entry path, number of getppid, of sched_yield in its table.
 *
 * Asks:   does a call ever answer differently or change a register because something was done on
 *         the way out of it? does the other process run?
 * Known:  nothing.
 * Source: kernel/entry/common.c exit_to_user_mode_loop (6.1)
 */
#include "catch.h"
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define SHARED 0x25000000ul
#define MOST_YIELDS 300000
#define ENOUGH 5
#define MOST_CALLS 3000000
#define SIGNALS 20
#define PERIOD_US 2000
#define ITIMER_REAL 0

_Noreturn void c_main(const uptr *stack);

static volatile u32 *const turns = (volatile u32 *)SHARED;
static volatile u32 *const spinning = (volatile u32 *)SHARED + 1;
static u32 wrong, signals;

static void count(struct arrival *a)
{
	(void)a;
	arrived = 0;
	signals++;
}

/* One call; whether a register but the result's, or what the ABI lets go, holds something else. */
static long ask(u32 entry, long number)
{
	long said = enter(entry, number, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66);

	for (u32 i = 1; i < GENERAL_REGISTERS; i++) {
#ifdef __x86_64__
		if (entry == ENTRY_SYSCALL && (i == REG_RCX || i == REG_R11))
			continue;
#endif
		wrong += before[i] != after[i];
	}
	return said;
}

_Noreturn static void be_the_other(u32 entry, long yield)
{
	sys2(NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		++*turns;
		if (!*spinning)
			ask(entry, yield);
	}
}

/* How often the other process ran while this one gave way; a scheduler may take its time. */
static u32 count_turns_of_the_other(u32 entry, long yield)
{
	u32 let = 0;

	for (u32 round = 0; round < MOST_YIELDS && let < ENOUGH; round++) {
		u32 was = *turns;

		wrong += ask(entry, yield) != 0;
		let += *turns != was;
	}
	return let;
}

/* Whether the other process got its turn although this one never gives way. */
static u32 is_preempted(u32 entry, long getppid, long parent)
{
	u32 was = *turns;

	*spinning = 1;
	for (u32 round = 0; round < MOST_CALLS && *turns == was; round++)
		wrong += ask(entry, getppid) != parent;
	return *turns != was;
}

static void be_interrupted(u32 entry, long getppid, long parent)
{
	static u8 alternate[16384];
	const struct stack stack = { (uptr)alternate, 0, sizeof(alternate) };
	const long period[] = { 0, PERIOD_US, 0, PERIOD_US }, never[] = { 0, 0, 0, 0 };

	/* Before an entry path's instruction the stack pointer is no stack's for a moment. */
	sys2(NR_sigaltstack, &stack, NULL);
	in_handler = count;
	catch_signal(SIGALRM, SA_SIGINFO | SA_RESTORER | SA_ONSTACK);
	sys3(NR_setitimer, ITIMER_REAL, period, NULL);
	for (u32 round = 0; round < MOST_CALLS && signals < SIGNALS; round++)
		wrong += ask(entry, getppid) != parent;
	sys3(NR_setitimer, ITIMER_REAL, never, NULL);
}

_Noreturn void c_main(const uptr *stack)
{
	u32 entry = (u32)argument(stack, 1);
	long getppid = (long)argument(stack, 2), yield = (long)argument(stack, 3);
	long parent, other;

	prepare_to_enter(stack);
	sys6(NR_mmap, SHARED, PAGE_BYTES, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	parent = ask(entry, getppid);
	be_interrupted(entry, getppid, parent);
	report("signals", signals);
	other = sys0(NR_fork);
	if (!other)
		be_the_other(entry, yield);
	report("turns_of_the_other", count_turns_of_the_other(entry, yield));
	report("preempted", is_preempted(entry, getppid, parent));
	sys2(NR_kill, other, SIGKILL);
	sys4(NR_wait4, other, NULL, 0, NULL);
	report("wrong", wrong);
	die(0);
}
