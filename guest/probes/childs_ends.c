// SPDX-License-Identifier: Apache-2.0
/*
 * childs_ends: has children stop, go on, end and be killed, and waits for each of that twice: by
 * waitid, which leaves it, and by wait4.
 *
 * Asks:   what becomes of a child, in the words of both calls?
 * Known:  nothing.
 * Source: kernel/exit.c wait_task_zombie, wait_task_stopped, wait_task_continued (6.1)
 */
#include "numbers.h"
#include "report.h"

#define SIGCONT 18
#define SIGSTOP 19
#define P_PID 1
#define WSTOPPED 2
#define WEXITED 4
#define WCONTINUED 8
#define WNOWAIT 0x01000000
#define MORE_THAN_A_BYTE 0x1a5

#ifdef __x86_64__
#define NR_waitid 247
#define SENDER 4 /* in a siginfo_t, counted in ints */
#else
#define NR_waitid 284
#define SENDER 3
#endif

_Noreturn void c_main(const uptr *stack);

static void wait_twice(const char *name, long child, long options)
{
	int info[32] = { 0 }, status = -1;
	long told = sys5(NR_waitid, P_PID, child, info, options | WNOWAIT, NULL);
	long waited = sys4(NR_wait4, child, &status, options & ~WEXITED, NULL);
	u32 seen[] = { (u32)told,
		       (u32)info[0],
		       (u32)info[2],
		       info[SENDER] == child,
		       (u32)info[SENDER + 2],
		       waited == child,
		       (u32)status };

	report_memory(name, seen, sizeof(seen));
}

static long start(int ending)
{
	long child = sys0(NR_fork);

	if (child)
		return child;
	if (ending)
		die(MORE_THAN_A_BYTE);
	for (;;)
		sys3(NR_poll, NULL, 0, -1);
}

_Noreturn void c_main(const uptr *stack)
{
	long child = start(0), other = start(1);

	(void)stack;
	wait_twice("alive", child, WNOHANG | WEXITED | WSTOPPED | WCONTINUED);
	sys2(NR_kill, child, SIGSTOP);
	wait_twice("stopped", child, WSTOPPED);
	sys2(NR_kill, child, SIGCONT);
	wait_twice("continued", child, WCONTINUED);
	sys2(NR_kill, child, SIGKILL);
	wait_twice("killed", child, WEXITED);
	wait_twice("gone", child, WEXITED);
	wait_twice("ended", other, WEXITED);
	die(0);
}
