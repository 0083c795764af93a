// SPDX-License-Identifier: Apache-2.0
/*
 * interrupted: makes calls that block; a child waits until we are seen to, interrupts the call, and
 * lets it end when it blocks again.
 *
 * Arguments: entry path, flags of SIGUSR1's action, how to interrupt (0: SIGUSR1, 1: stop and
 * continue), an offset into the first frame and what the handler puts there (0: nothing); then for
 * every call: number, six arguments, how it ends (END_...), how many words, the words, which are
 * put to where BLOCK is.
 * Descriptors: 10 and 11 the ends of an empty pipe, 12 an epoll that waits for 10, 13 and 14 a pair
 * of sockets, 15 and 16 the same file opened twice and locked by 15, in both ways; 17 an eventfd, 18
 * a timer, 19 a signalfd of SIGHUP, 20 an inotify, all of which have nothing to say; 21 a socket that
 * waits for at most a thousand seconds, 23 one that listens.
 *
 * Asks:   which interrupted calls are made again, and with what? what do program and handler see?
 * Known:  nothing.
 * Source: arch/x86/kernel/signal.c arch_do_signal_or_restart, handle_signal (6.1)
 */
#include "catch.h"
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define BLOCK 0x21000000ul
#define BLOCK_BYTES 0x40000ul
#define SHOWN_BYTES 128
#define MOST_ARGUMENTS 900
#define SEEN 9

/* How a call that blocks again is let go. */
#define END_BY_SIGNAL 0
#define END_BY_BYTE 1
#define END_BY_EXIT 2
#define END_BY_WAKE 3
#define END_BY_MESSAGE 4
#define END_BY_ROOM 5

#define FUTEX_WAKE 1
#define EPOLL_CTL_ADD 1
#define AF_UNIX 1
#define SOCK_STREAM 1
#define SOL_SOCKET 1
#define SO_RCVTIMEO 20
#define LOCK_EX 2
#define F_OFD_SETLK 37

#ifdef __x86_64__
#define NR_bind 49
#define NR_listen 50
#define NR_socket 41
#define NR_setsockopt 54
#define NR_timerfd_create 283
#define NR_signalfd4 289
#define NR_eventfd2 290
#define NR_inotify_init1 294
#define NR_fcntl_of_locks NR_fcntl
#else
#define NR_fcntl_of_locks 221 /* fcntl64 */
#define NR_socket 359
#define NR_bind 361
#define NR_listen 363
#define NR_setsockopt 366
#define NR_timerfd_create 322
#define NR_signalfd4 327
#define NR_eventfd2 328
#define NR_inotify_init1 332
#endif

/* What parent and child share, behind the block that calls point to. */
struct shared {
	volatile u32 done;
	u64 first[SEEN]; /* number, arguments, stack and instruction pointer while it blocks */
	u64 again[SEEN]; /* the same when it blocks once more */
};

_Noreturn void c_main(const uptr *stack);

static struct shared *const shared = (struct shared *)(BLOCK + BLOCK_BYTES);
static uptr numbers[MOST_ARGUMENTS];
static uptr change_at, change_to;
static u64 code_at_ip;

static u32 digits(char *to, u32 value)
{
	u32 length = value >= 10 ? digits(to, value / 10) : 0;

	to[length] = (char)('0' + value % 10);
	return length + 1;
}

static long read_proc(u32 pid, const char *name, char *to, uptr bytes)
{
	char path[32] = "/proc/";
	u32 length = 6 + digits(path + 6, pid);
	long fd, got;

	memcpy(path + length, name, strlen(name) + 1);
	fd = sys3(NR_open, path, O_RDONLY, 0);
	got = sys3(NR_read, fd, to, bytes - 1);
	sys1(NR_close, fd);
	to[got > 0 ? got : 0] = 0;
	return got;
}

/* R, S, T and so on: the letter behind the name in parentheses. */
static char state_of(u32 pid)
{
	char line[128], *at = line;

	read_proc(pid, "/stat", line, sizeof(line));
	while (*at && *at != ')')
		at++;
	return *at ? at[2] : 0;
}

/* 0 once the call has returned instead. */
static int await(u32 pid, char state)
{
	for (;;) {
		char now = state_of(pid);

		if (shared->done)
			return 0;
		if (now == state)
			return 1;
		sys0(NR_sched_yield);
	}
}

/* "7 0x0 0x1 ..." */
static void look(u32 pid, u64 *seen)
{
	char line[256];
	const char *at = line;

	read_proc(pid, "/syscall", line, sizeof(line));
	for (u32 i = 0; i < SEEN && *at; i++) {
		u64 base = at[0] == '0' && at[1] == 'x' ? 16 : 10;

		at += base == 16 ? 2 : 0;
		for (seen[i] = 0; *at > ' '; at++)
			seen[i] = seen[i] * base + (u64)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
		at += *at == ' ';
	}
}

static void let_go(u32 pid, uptr how, uptr word)
{
	static u8 sink[65536];

	switch (how) {
	case END_BY_BYTE:
		sys3(NR_write, 11, "x", 1);
		break;
	case END_BY_EXIT:
		die(0);
	case END_BY_WAKE:
		sys3(NR_futex, word, FUTEX_WAKE, 1);
		break;
	case END_BY_MESSAGE:
		sys3(NR_write, 14, "x", 1);
		break;
	case END_BY_ROOM:
		sys3(NR_read, 10, sink, sizeof(sink));
		break;
	default:
		sys2(NR_kill, pid, SIGUSR2);
	}
}

_Noreturn static void interrupt(u32 pid, uptr stopping, const uptr *call)
{
	if (await(pid, 'S')) {
		look(pid, shared->first);
		sys2(NR_kill, pid, stopping ? SIGSTOP : SIGUSR1);
		if (stopping && await(pid, 'T'))
			sys2(NR_kill, pid, SIGCONT);
		if (await(pid, 'S')) {
			look(pid, shared->again);
			let_go(pid, call[7], call[1]);
			if (await(pid, 'S')) /* which it should not */
				sys2(NR_kill, pid, SIGUSR2);
		}
	}
	die(0);
}

static void place(long from, int to)
{
	if (from == to)
		return;
	sys3(NR_dup3, from, to, 0);
	sys1(NR_close, from);
}

static void open_silent_descriptors(void)
{
	const u64 hangup = 1;
	const uptr long_time[2] = { 1000, 0 };
	const u16 family = AF_UNIX;
	int ends[2];

	place(sys2(NR_eventfd2, 0, 0), 17);
	place(sys2(NR_timerfd_create, 1, 0), 18);
	place(sys4(NR_signalfd4, -1, &hangup, sizeof(hangup), 0), 19);
	place(sys1(NR_inotify_init1, 0), 20);
	sys4(NR_socketpair, AF_UNIX, SOCK_STREAM, 0, ends);
	place(ends[0], 21);
	place(ends[1], 22);
	sys5(NR_setsockopt, 21, SOL_SOCKET, SO_RCVTIMEO, long_time, sizeof(long_time));
	place(sys3(NR_socket, AF_UNIX, SOCK_STREAM, 0), 23);
	sys3(NR_bind, 23, &family, sizeof(family));
	sys2(NR_listen, 23, 1);
}

static void open_descriptors(void)
{
	const u64 whole_file[4] = { 1 }; /* F_WRLCK */
	u32 event[3] = { POLLIN, 0, 0 };
	int ends[2];

	sys2(NR_pipe2, ends, 0);
	place(ends[0], 10);
	place(ends[1], 11);
	place(sys1(NR_epoll_create1, 0), 12);
	sys4(NR_epoll_ctl, 12, EPOLL_CTL_ADD, 10, event);
	sys4(NR_socketpair, AF_UNIX, SOCK_STREAM, 0, ends);
	place(ends[0], 13);
	place(ends[1], 14);
	place(sys3(NR_open, "/tmp/locked", O_RDWR | O_CREAT, 0600), 15);
	place(sys3(NR_open, "/tmp/locked", O_RDWR | O_CREAT, 0600), 16);
	sys2(NR_flock, 15, LOCK_EX);
	sys3(NR_fcntl_of_locks, 15, F_OFD_SETLK, whole_file);
	open_silent_descriptors();
}

static void keep_code(struct arrival *a)
{
	if (a != arrivals)
		return;
	memcpy(&code_at_ip, *(void **)(a->frame + FRAME_IP), 2);
	if (change_at)
		*(uptr *)(a->at + change_at) = change_to;
}

static void report_call(u32 number, u32 entry)
{
	uptr landing = landing_of(entry);

	keep_reports();
	report_numbered(number, "before", before, sizeof(before));
	report_numbered(number, "after", after, sizeof(after));
	report_numbered(number, "arrived", (const void *)&arrived, sizeof(arrived));
	report_numbered(number, "landing", &landing, sizeof(landing));
	report_numbered(number, "code_at_ip", &code_at_ip, sizeof(code_at_ip));
	report_numbered(number, "first", shared->first, sizeof(shared->first));
	report_numbered(number, "again", shared->again, sizeof(shared->again));
	report_numbered(number, "block", (const void *)BLOCK, SHOWN_BYTES);
	for (u32 i = 0; i < arrived && i < 1; i++)
		report_frame(number, arrivals);
	write_reports();
}

/* Returns where the next call begins. */
static const uptr *make_call(u32 number, u32 entry, uptr stopping, const uptr *c)
{
	long pid = sys0(NR_getpid), child;

	memset((void *)BLOCK, 0, BLOCK_BYTES + sizeof(*shared));
	memcpy((void *)BLOCK, c + 9, c[8] * sizeof(uptr));
	open_descriptors();
	arrived = 0;
	code_at_ip = 0;
	child = sys0(NR_fork);
	if (!child)
		interrupt((u32)pid, stopping, c);
	load_call(entry, (long)c[0], (long)c[1], (long)c[2], (long)c[3], (long)c[4], (long)c[5],
		  (long)c[6]);
	go_through(entry);
	shared->done = 1;
	sys4(NR_wait4, child, NULL, 0, NULL);
	report_call(number, entry);
	return c + 9 + c[8];
}

_Noreturn void c_main(const uptr *stack)
{
	const uptr *at = numbers + 5, *end = numbers + stack[0] - 1;
	u32 number = 0;

	prepare_to_enter(stack);
	if (stack[0] > MOST_ARGUMENTS)
		die(101);
	for (u32 i = 1; i < stack[0]; i++)
		numbers[i - 1] = (uptr)argument(stack, i);
	change_at = numbers[3];
	change_to = numbers[4];
	if ((uptr)sys6(NR_mmap, BLOCK, BLOCK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != BLOCK)
		die(100);
	in_handler = keep_code;
	catch_signal(SIGUSR1, numbers[1]);
	catch_signal(SIGUSR2, SA_SIGINFO | SA_RESTORER);
	while (at < end)
		at = make_call(number++, (u32)numbers[0], numbers[2], at);
	die(0);
}
