// SPDX-License-Identifier: Apache-2.0
/*
 * On a real host the agent is an ordinary process with a folder of its own. Its parent, the keeper,
 * waits for its end or for the connection's, ends whatever it has left, and removes the folder.
 */
#include "agent.h"
#include "numbers.h"

#define NOBODY 65534
#define NO_ROOM 77
#define GRACE_MS 1000 /* for an agent whose connection has ended, to end by itself */
#define MOST_ROUNDS 100
#define LIST_BYTES 2048
#define AT_REMOVEDIR 0x200

static int has_room;

/* include/linux/dirent.h (6.1) */
struct entry {
	u64 inode;
	s64 next;
	u16 length;
	u8 type;
	char name[];
} __attribute__((packed));

/* Nothing protects a host from root, so whoever comes as root goes on as nobody. */
static void leave_root(void)
{
	if (sys0(NR_getuid) != 0)
		return;
	if (sys3(NR_chown, ".", NOBODY, NOBODY) || sys2(NR_setgroups, 0, NULL) ||
	    sys3(NR_setresgid, NOBODY, NOBODY, NOBODY) ||
	    sys3(NR_setresuid, NOBODY, NOBODY, NOBODY))
		die(12);
	sys2(NR_prctl, PR_SET_DUMPABLE, 1);
}

/* Of a limit of 1 byte no core comes, and no collector of cores is called.
 * Source: fs/coredump.c do_coredump (6.1). */
static void leave_no_cores(void)
{
	const uptr limit[] = { 1, 1 };

	sys2(NR_setrlimit, 4, limit);
}

/* What usually ends a process leaves the keeper its work to do. */
static void handle_ends(uptr how)
{
	const struct {
		uptr handler;
		uptr flags;
		void *restorer;
		u64 mask;
	} action = { how, 0, NULL, 0 };
	static const int ends[] = { 1, 2, 13, 15 }; /* HUP, INT, PIPE, TERM */

	for (u32 i = 0; i < ARRAY_LENGTH(ends); i++)
		sys4(NR_rt_sigaction, ends[i], &action, NULL, 8);
}

/* Returns how the child ended; once the connection has, it has a moment left. */
static int keep(long child, int alive)
{
	struct pollfd watched[2] = { { alive, 0, 0 }, { 0, POLLRDHUP, 0 } };
	int status = 0;

	handle_ends(SIG_IGN);
	while (sys3(NR_poll, watched, 2, -1) == -EINTR)
		;
	if (!watched[0].revents)
		sys3(NR_poll, watched, 1, GRACE_MS);
	sys2(NR_kill, child, SIGKILL);
	while (sys4(NR_wait4, child, &status, 0, NULL) == -EINTR)
		;
	sys1(NR_close, alive);
	handle_ends(SIG_DFL);
	return status;
}

static void kill_all(const char *at)
{
	for (long pid = 0; *at; at++) {
		if (*at != ' ') {
			pid = pid * 10 + (*at - '0');
			continue;
		}
		sys2(NR_kill, pid, SIGKILL);
		pid = 0;
	}
}

/* Whatever the agent has started and not ended is now a child of ours. */
static void end_orphans(void)
{
	static char list[LIST_BYTES];

	for (u32 round = 0; round < MOST_ROUNDS; round++) {
		long fd = sys2(NR_open, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
		long got = fd < 0 ? 0 : sys3(NR_read, fd, list, sizeof(list) - 1);
		long ended;

		list[got > 0 ? got : 0] = 0;
		sys1(NR_close, fd);
		kill_all(list);
		while ((ended = sys4(NR_wait4, -1, NULL, WNOHANG, NULL)) > 0)
			;
		if (ended < 0)
			return;
		sys3(NR_poll, NULL, 0, 10);
	}
}

static int empty(int folder);

static int remove(int folder, const char *name)
{
	long below;

	if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
		return 0;
	if (sys3(NR_unlinkat, folder, name, 0) == 0)
		return 1;
	below = sys3(NR_openat, folder, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below < 0)
		return 0;
	while (empty((int)below))
		;
	sys1(NR_close, below);
	return sys3(NR_unlinkat, folder, name, AT_REMOVEDIR) == 0;
}

/* Returns how much of it could be removed; what goes while a list is read may hide the rest. */
static int empty(int folder)
{
	u8 list[LIST_BYTES];
	int removed = 0;
	long got;

	sys3(NR_lseek, folder, 0, 0);
	while ((got = sys3(NR_getdents64, folder, list, sizeof(list))) > 0) {
		for (u8 *at = list; at < list + got; at += ((struct entry *)at)->length)
			removed += remove(folder, ((struct entry *)at)->name);
	}
	return removed;
}

static void empty_folder(const char *path)
{
	long fd = sys2(NR_open, path, O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && empty((int)fd))
		;
	sys1(NR_close, fd);
}

void tidy_room(void)
{
	if (!has_room)
		return;
	sys2(NR_kill, -1, SIGKILL);
	while (sys4(NR_wait4, -1, NULL, 0, NULL) > 0)
		;
	empty_folder("/tmp");
}

static void move_out(const char *folder)
{
	empty_folder(".");
	sys1(NR_chdir, "/");
	sys1(NR_rmdir, folder);
}

/* Returns 1 in a new process; 0 in ours when that could not be had, else ours ends here with it. */
static int come_apart(const char *folder, int own_room)
{
	int alive[2], status;
	long child;

	if (sys2(NR_pipe2, alive, O_CLOEXEC))
		die(13);
	child = own_room ? fork_into_room() : sys0(NR_fork);
	if (child == 0) {
		sys2(NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
		sys1(NR_close, alive[0]);
		if (own_room && !furnish_room(folder))
			die(NO_ROOM);
		return 1;
	}
	sys1(NR_close, alive[1]);
	if (child < 0) {
		sys1(NR_close, alive[0]);
		return 0;
	}
	status = keep(child, alive[0]);
	if (status == NO_ROOM << 8)
		return 0;
	handle_ends(SIG_IGN);
	end_orphans();
	move_out(folder);
	die(status >> 8 & 0xff);
}

int move_in(const char *folder)
{
	if (sys1(NR_chdir, folder))
		die(11);
	leave_root();
	leave_no_cores();
	sys1(NR_umask, 022);
	sys0(NR_setsid);
	sys2(NR_prctl, PR_SET_CHILD_SUBREAPER, 1);
	has_room = come_apart(folder, 1);
	if (has_room)
		return 1;
	if (!come_apart(folder, 0))
		die(13);
	make_folders();
	set_room(folder);
	return 0;
}
