// SPDX-License-Identifier: Apache-2.0
/*
 * Executors: one process for each ABI, started when first asked for and again after it died.
 * Programs go in over one pipe, answers come out of the other.
 */
#include "agent.h"
#include "executor.h"
#include "numbers.h"

#define NO_EXECUTOR 0xffffffffu
#define MOST_PATH 1024
#define ENDING_MS 200

struct executor {
	const char *path;
	u8 bits;
	long pid; /* 0: not running */
	int request;
	int answer;
};

static struct executor executors[] = {
#ifdef __x86_64__
	{ "/executor.x86_64", 64, 0, -1, -1 },
#endif
	{ "/executor.i386", 32, 0, -1, -1 },
};

static struct message answer;
static const char *room = ""; /* what stands before every path */
static char in_room[MOST_PATH];

void set_room(const char *folder)
{
	if (strlen(folder) < MOST_PATH - 32)
		room = folder;
}

static const char *find_in_room(const char *path)
{
	memcpy(in_room, room, strlen(room));
	memcpy(in_room + strlen(room), path, strlen(path) + 1);
	return in_room;
}

u8 abis(void)
{
	return sizeof(void *) * 8;
}

static struct executor *find_executor(u8 bits)
{
	for (u32 i = 0; i < ARRAY_LENGTH(executors); i++)
		if (executors[i].bits == bits)
			return &executors[i];
	return NULL;
}

/*
 * What calls find open: endless zeros to read, and a file of its own to write to. Both look at
 * the memory they are given, so that a bad pointer is noticed.
 */
static void open_standard_files(void)
{
	long zeros = sys3(NR_open, "/dev/zero", O_RDONLY | O_CLOEXEC, 0);
	long file = sys3(NR_open, find_in_room("/tmp/written"),
			 O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	sys3(NR_dup3, zeros, 0, 0);
	sys3(NR_dup3, file, 1, 0);
	sys3(NR_dup3, file, 2, 0);
}

struct becoming {
	const struct executor *executor;
	int request;
	int answer;
};

static void become(const void *argument)
{
	static const char *const no_environment[] = { NULL };
	const struct becoming *b = argument;
	const char *arguments[] = { NULL, NULL };
	u32 failure[2] = { NO_EXECUTOR, 0 };

	sys2(NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
	sys0(NR_setsid);
	sys3(NR_dup3, b->request, REQUEST_FD, 0);
	sys3(NR_dup3, b->answer, ANSWER_FD, 0);
	open_standard_files();
	arguments[0] = find_in_room(b->executor->path);
	failure[1] = (u32)-sys3(NR_execve, arguments[0], arguments, no_environment);
	write_all(ANSWER_FD, failure, sizeof(failure));
	die(127);
}

static long start(struct executor *e)
{
	int requests[2], answers[2];
	long error = sys2(NR_pipe2, requests, O_CLOEXEC);

	if (error)
		return error;
	error = sys2(NR_pipe2, answers, O_CLOEXEC);
	if (error)
		return error;
	e->pid = start_child(become, &(struct becoming){ e, requests[0], answers[1] });
	sys1(NR_close, requests[0]);
	sys1(NR_close, answers[1]);
	e->request = requests[1];
	e->answer = answers[0];
	return e->pid < 0 ? e->pid : 0;
}

static void forget(struct executor *e)
{
	sys1(NR_close, e->request);
	sys1(NR_close, e->answer);
	e->pid = 0;
}

/* Wait for its end, which is near; returns its wait status. */
static u32 bury(struct executor *e)
{
	int status = 0;

	while (sys4(NR_wait4, e->pid, &status, 0, NULL) == -EINTR)
		;
	forget(e);
	return (u32)status;
}

static u32 kill_and_bury(struct executor *e)
{
	sys2(NR_kill, e->pid, SIGKILL);
	return bury(e);
}

/* One that has closed its pipe is ending: let it do so in its own way, unless it takes long. */
static u32 await_end(struct executor *e)
{
	int status = 0;

	for (u32 waited_ms = 0; waited_ms < ENDING_MS; waited_ms++) {
		if (sys4(NR_wait4, e->pid, &status, WNOHANG, NULL) == e->pid) {
			forget(e);
			return (u32)status;
		}
		sys3(NR_poll, NULL, 0, 1);
	}
	return kill_and_bury(e);
}

/* Others' orphans end up with us when we are PID 1. */
static void reap_strangers(void)
{
	int status;

	for (;;) {
		long pid = sys4(NR_wait4, -1, &status, WNOHANG, NULL);

		if (pid <= 0)
			return;
		for (u32 i = 0; i < ARRAY_LENGTH(executors); i++) {
			if (executors[i].pid == pid)
				forget(&executors[i]);
		}
	}
}

static long await_answer(const struct executor *e, u32 timeout_ms)
{
	struct pollfd waiting = { e->answer, POLLIN, 0 };
	long ready;

	do
		ready = sys3(NR_poll, &waiting, 1, timeout_ms);
	while (ready == -EINTR);
	return ready;
}

static void pass_answer(struct executor *e, u32 sequence)
{
	u32 error;

	if (read_message(e->answer, &answer) == 0) {
		send_frame(FRAME_DONE, STATUS_OK, sequence, answer.content, answer.bytes);
	} else if (answer.bytes == NO_EXECUTOR) {
		memcpy(&error, answer.content, sizeof(error));
		bury(e);
		send_status(STATUS_ERRNO, sequence, error);
	} else {
		send_status(STATUS_DIED, sequence, await_end(e));
	}
}

void run_program(const struct frame *request)
{
	struct cursor c = open_request(request);
	struct executor *e = find_executor(take_u8(&c));
	u32 timeout_ms = take_u32(&c);
	const u8 *program = c.at;
	u32 bytes = take_u32(&c);

	if (c.bad || !e || bytes != (uptr)(c.end - c.at)) {
		send_status(STATUS_MALFORMED, request->sequence, 0);
		return;
	}
	reap_strangers();
	if (!e->pid) {
		long error = start(e);

		if (error) {
			send_status(STATUS_ERRNO, request->sequence, (u32)-error);
			return;
		}
	}
	if (write_all(e->request, program, sizeof(bytes) + bytes)) {
		pass_answer(e, request->sequence);
	} else if (await_answer(e, timeout_ms) == 0) {
		kill_and_bury(e);
		send_status(STATUS_TIMEOUT, request->sequence, timeout_ms);
	} else {
		pass_answer(e, request->sequence);
	}
}

/* Who is taken back soon need not end them, which takes time. */
void leave_executors(void)
{
	for (u32 i = 0; i < ARRAY_LENGTH(executors); i++)
		executors[i].pid = 0;
}

void renew_executors(const struct frame *request)
{
	for (u32 i = 0; i < ARRAY_LENGTH(executors); i++)
		if (executors[i].pid)
			kill_and_bury(&executors[i]);
	reap_strangers();
	if (request->length)
		tidy_room();
	send_done(request->sequence);
}
