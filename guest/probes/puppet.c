// SPDX-License-Identifier: Apache-2.0
/*
 * puppet: leaves a stopped child behind for a tracer, and says where its strings are. Once it is
 * traced and goes on, the child stops by int3, makes the call that then lies prepared in `before`,
 * whose place for the instruction pointer holds the number of the entry path, leaves what came of
 * it in `after`, stops again, and so for ever. A tracer may also send it anywhere else: the memory
 * at `stage` can be written and executed.
 *
 * Asks:   nothing by itself; see harness/agent/puppet.py.
 * Known:  nothing.
 * Source: man 2 ptrace
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define STAGE_BYTES 0x10000
#define WUNTRACED 2
#define SIGSTOP 19

#define ENTRY_DECLARE(name) void enter_##name(void);
#define ENTRY_ADDRESS(name) enter_##name,
ENTRY_PATHS(ENTRY_DECLARE)
static void (*const entries[])(void) = { ENTRY_PATHS(ENTRY_ADDRESS) };

#define ENTRY_REPORT(name) report("landed_" #name, landing_of(entry++));

_Noreturn void c_main(const uptr *stack);

/* Without descriptors, and in a session of its own: nobody waits for it or sends it signals. */
_Noreturn static void dance(void)
{
	for (int fd = 0; fd < 16; fd++)
		sys1(NR_close, fd);
	sys0(NR_setsid);
	sys2(NR_kill, sys0(NR_getpid), SIGSTOP);
	for (;;) {
		__asm__ volatile("int3" ::: "memory");
		entries[before[REG_IP]]();
	}
}

_Noreturn void c_main(const uptr *stack)
{
	long stage = sys6(NR_mmap, 0x30000000, STAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
	u32 entry = 0;
	long pid;

	prepare_to_enter(stack);
	pid = sys0(NR_fork);
	if (pid == 0)
		dance();
	sys4(NR_wait4, pid, NULL, WUNTRACED, NULL);
	keep_reports();
	report("pid", (u64)pid);
	report("stage", (uptr)stage);
	report("before", (uptr)before);
	report("after", (uptr)after);
	ENTRY_PATHS(ENTRY_REPORT)
	write_reports();
	die(0);
}
