// SPDX-License-Identifier: Apache-2.0
/*
 * The standard input of the program that runs: asked for when the program's pipe has room, so that
 * no more than one piece is ever on its way, and one that reads nothing holds nobody up.
 */
#include "agent.h"
#include "numbers.h"

static int pipe_end = -1; /* where it goes; -1: the program has none, or no more */
static u32 sequence;
static int asked;
static struct frame given;
static u32 passed; /* so much of the given has gone into the pipe */

/* A program need not read to the end; the agent is to hear that from write(). */
static void handle_broken_pipes(long handler)
{
	const struct {
		long handler, flags, restorer;
		u64 mask;
	} action = { .handler = handler };

	sys4(NR_rt_sigaction, SIGPIPE, &action, NULL, 8);
}

void begin_input(int fd, u32 asking)
{
	pipe_end = fd;
	sequence = asking;
	asked = 0;
	passed = given.length = 0;
	handle_broken_pipes(SIG_IGN);
	if (fd >= 0)
		sys3(NR_fcntl, fd, F_SETFL, O_NONBLOCK);
}

static void close_pipe(void)
{
	if (pipe_end >= 0)
		sys1(NR_close, pipe_end);
	pipe_end = -1;
}

/* The next program is to find signals as usual. */
void end_input(void)
{
	close_pipe();
	handle_broken_pipes(SIG_DFL);
}

/* The host is gone, or asks something else: there is no way back. */
static void take(void)
{
	if (read_frame(&given) || given.type != FRAME_INPUT)
		die(1);
	asked = 0;
	passed = 0;
	if (!given.length)
		close_pipe();
}

static void feed(void)
{
	long wrote = sys3(NR_write, pipe_end, given.payload + passed, given.length - passed);

	if (wrote > 0)
		passed += (u32)wrote;
	else if (wrote != -EAGAIN && wrote != -EINTR)
		close_pipe();
}

void pass_input(void)
{
	if (pipe_end >= 0 && asked && is_frame_waiting())
		take();
	if (pipe_end >= 0 && passed < given.length)
		feed();
	if (pipe_end >= 0 && passed == given.length && !asked) {
		send_frame(FRAME_WANT, STATUS_OK, sequence, NULL, 0);
		asked = 1;
	}
}

/* What to wait for: room in the pipe, or a piece from the host. */
struct pollfd next_input(void)
{
	const struct pollfd nothing = { -1, 0, 0 };
	const struct pollfd room = { pipe_end, POLLOUT, 0 };
	const struct pollfd piece = { frames_port(), POLLIN, 0 };

	if (pipe_end < 0)
		return nothing;
	return asked ? piece : room;
}
