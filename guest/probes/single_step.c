// SPDX-License-Identifier: Apache-2.0
/*
 * single_step: makes a call with the trap flag set, and goes on after each trap until the first
 * behind the call.
 *
 * Takes:  the entry path.
 * Asks:   where is each trap, with which code, is the trap flag still set there; what did the call
 *         return?
 * Known:  the processor clears the flag at a SYSCALL or an INT, not at SYSENTER.
 * Source: arch/x86/kernel/traps.c exc_debug_kernel, is_sysenter_singlestep (6.1);
 *         tools/testing/selftests/x86/single_step_syscall.c (6.1)
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define SIGTRAP 5
#define SA_SIGINFO 0x4
#define SA_RESTORER 0x04000000
#define TRAP_FLAG 0x100ull
#define MOST_TRAPS 60

/* Words of the frame's ucontext; arch/x86/include/uapi/asm/{ucontext,sigcontext}.h (6.1). */
#ifdef __x86_64__
#define NR_getppid 110
#define NR_getppid_i386 64
#define WORD_IP 21
#define WORD_FLAGS 22
#else
#define NR_getppid 64
#define NR_getppid_i386 64
#define WORD_IP 19
#define WORD_FLAGS 21
#endif

struct action {
	void *handler;
	uptr flags;
	void *restorer;
	u64 mask;
};

static struct {
	uptr ip, flags, code;
} traps[MOST_TRAPS];
static u32 count;
static uptr landing;

void restore_from_signal(void);
_Noreturn void c_main(const uptr *stack);

static void handle(int signal, const u32 *info, uptr *context)
{
	(void)signal;
	traps[count].ip = context[WORD_IP];
	traps[count].flags = context[WORD_FLAGS];
	traps[count].code = info[2];
	count++;
	if (count == MOST_TRAPS || (context[WORD_IP] > landing && context[WORD_IP] < landing + 16))
		context[WORD_FLAGS] &= ~(uptr)TRAP_FLAG;
}

static void report_number(const char *name, u32 number, u64 value)
{
	char text[16] = { (char)('0' + number / 10), (char)('0' + number % 10), ' ' };

	memcpy(text + 3, name, strlen(name) + 1);
	report(text, value);
}

_Noreturn void c_main(const uptr *stack)
{
	const struct action action = { (void *)handle, SA_SIGINFO | SA_RESTORER,
				       (void *)restore_from_signal, 0 };
	u32 entry = (u32)argument(stack, 1);
	long number = NR_getppid;

#ifdef __x86_64__
	if (entry == ENTRY_INT80_64)
		number = NR_getppid_i386;
#endif
	prepare_to_enter(stack);
	landing = landing_of(entry);
	sys4(NR_rt_sigaction, SIGTRAP, &action, NULL, 8);
	load_call(entry, number, 0, 0, 0, 0, 0, 0);
	before[REG_FLAGS] |= TRAP_FLAG;
	report("result", (u64)go_through(entry));
	report("parent", (u64)sys0(NR_getppid));
	report("landing", landing);
	report("vdso entry", auxiliary(stack, 32));
	report("traps", count);
	for (u32 i = 0; i < count; i++) {
		report_number("ip", i, traps[i].ip);
		report_number("flags", i, traps[i].flags);
		report_number("code", i, traps[i].code);
	}
	die(0);
}
