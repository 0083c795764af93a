// SPDX-License-Identifier: Apache-2.0
/* Programs of the user's own: started, their output passed on as it comes, their end reported. */
#include "agent.h"
#include "numbers.h"

#define MAX_STRINGS 1024
#define SETTLE_MS 20 /* how long output may still come once the program itself has ended */

static const char *strings[MAX_STRINGS + 2];
static u8 piece[16384];

struct child {
	long pid;
	int in; /* the writing end of its standard input; -1: it has none */
	int out[2]; /* the reading ends of its standard output and error; -1 once at their end */
};

/* argv and the environment out of one list: argc strings, NULL, the rest, NULL. */
static const char *const *take_strings(struct cursor *c, u32 argc)
{
	u32 count = 0;

	while (c->at < c->end && !c->bad && count < MAX_STRINGS) {
		if (count == argc)
			strings[count++] = NULL;
		strings[count++] = take_text(c);
	}
	if (count < argc || c->at < c->end)
		c->bad = 1;
	if (count == argc)
		strings[count++] = NULL;
	strings[count] = NULL;
	return strings + argc + 1;
}

struct becoming {
	const char *const *environment;
	int files[3];
	int report;
};

static void become(const void *argument)
{
	const struct becoming *b = argument;
	u32 error;

	sys2(NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
	sys0(NR_setsid);
	for (int fd = 0; fd < 3; fd++)
		sys3(NR_dup3, b->files[fd], fd, 0);
	error = (u32)-sys3(NR_execve, strings[0], strings, b->environment);
	write_all(b->report, &error, sizeof(error));
	die(127);
}

/* 0, or -errno of what could not be done; execve's comes through a pipe that it closes itself. */
static long start(struct child *child, const char *const *environment, int has_input)
{
	int in[2] = { -1, -1 }, out[2], error_out[2], report[2];
	u32 error = 0;

	if ((has_input && sys2(NR_pipe2, in, O_CLOEXEC)) || sys2(NR_pipe2, out, O_CLOEXEC) ||
	    sys2(NR_pipe2, error_out, O_CLOEXEC) || sys2(NR_pipe2, report, O_CLOEXEC))
		return -EINVAL;
	if (!has_input)
		in[0] = (int)sys2(NR_open, "/dev/null", O_RDONLY | O_CLOEXEC);
	child->pid = start_child(
		become,
		&(struct becoming){ environment, { in[0], out[1], error_out[1] }, report[1] });
	sys1(NR_close, in[0]);
	sys1(NR_close, out[1]);
	sys1(NR_close, error_out[1]);
	sys1(NR_close, report[1]);
	child->in = in[1];
	child->out[0] = out[0];
	child->out[1] = error_out[0];
	read_all(report[0], &error, sizeof(error));
	sys1(NR_close, report[0]);
	return -(long)error;
}

static void pass_output(struct child *child, u32 which, u32 sequence)
{
	long got = sys3(NR_read, child->out[which], piece + 1, sizeof(piece) - 1);

	if (got > 0) {
		piece[0] = (u8)(which + 1);
		send_frame(FRAME_OUTPUT, STATUS_OK, sequence, piece, (u32)got + 1);
	} else if (got != -EINTR) {
		sys1(NR_close, child->out[which]);
		child->out[which] = -1;
	}
}

/* Whether there was anything. */
static int pass_some(struct child *child, long wait_ms, u32 sequence)
{
	struct pollfd waiting[3] = { { child->out[0], POLLIN, 0 },
				     { child->out[1], POLLIN, 0 },
				     next_input() };

	if (sys3(NR_poll, waiting, 3, wait_ms) <= 0)
		return 0;
	for (u32 which = 0; which < 2; which++)
		if (waiting[which].revents)
			pass_output(child, which, sequence);
	return 1;
}

static int has_output(const struct child *child)
{
	return child->out[0] >= 0 || child->out[1] >= 0;
}

static u64 now_ms(void)
{
	struct {
		long s, ns;
	} now;

#ifdef __x86_64__
	sys2(228, 1, &now);
#else
	sys2(265, 1, &now);
#endif
	return (u64)now.s * 1000 + (u64)((u32)now.ns / 1000000u);
}

/* Whether it ended by itself; its output has been passed on up to then. */
static int attend(struct child *child, u32 timeout_ms, u32 sequence, int *status)
{
	u64 until = now_ms() + timeout_ms;

	while (now_ms() < until) {
		pass_input();
		pass_some(child, has_output(child) ? 10 : 1, sequence);
		if (sys4(NR_wait4, child->pid, status, WNOHANG, NULL) == child->pid) {
			end_input();
			while (has_output(child) && pass_some(child, SETTLE_MS, sequence))
				;
			return 1;
		}
	}
	sys2(NR_kill, -child->pid, SIGKILL);
	sys4(NR_wait4, child->pid, status, 0, NULL);
	return 0;
}

void spawn(const struct frame *request)
{
	struct cursor c = open_request(request);
	u32 timeout_ms = take_u32(&c);
	u8 has_input = take_u8(&c);
	u32 argc = take_u32(&c);
	const char *const *environment;
	struct child child = { 0, -1, { -1, -1 } };
	int status = 0, ended = 0;
	long error;

	environment = argc && argc <= MAX_STRINGS ? take_strings(&c, argc) : NULL;
	if (!environment || c.bad) {
		send_status(STATUS_MALFORMED, request->sequence, 0);
		return;
	}
	error = start(&child, environment, has_input);
	begin_input(child.in, request->sequence);
	if (!error)
		ended = attend(&child, timeout_ms, request->sequence, &status);
	else if (child.pid > 0)
		sys4(NR_wait4, child.pid, &status, 0, NULL);
	end_input();
	for (u32 which = 0; which < 2; which++)
		if (child.out[which] >= 0)
			sys1(NR_close, child.out[which]);
	if (error)
		send_status(STATUS_ERRNO, request->sequence, (u32)-error);
	else
		send_status(ended ? STATUS_OK : STATUS_TIMEOUT, request->sequence, (u32)status);
}
