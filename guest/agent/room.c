// SPDX-License-Identifier: Apache-2.0
/*
 * A room of its own, where a host gives one to an ordinary user: namespaces in which the agent is
 * the first process, and root over nothing else; its root folder is in memory and looks as a
 * guest's does. Nothing in it is the host's but /sys and a few devices, and all of it goes with the
 * agent.
 * Source: man 7 user_namespaces, man 2 pivot_root
 */
#include "agent.h"
#include "numbers.h"

#define CLONE_NEWNS 0x00020000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000

#define MS_NOSUID 2
#define MS_NODEV 4
#define MS_BIND 4096
#define MS_REC 16384
#define MS_PRIVATE (1 << 18)
#define MNT_DETACH 2

#define ROOM_BYTES "size=256m,mode=755"
#define MOST_DIGITS 20

/* Where a program lies in the folder, and where in the room. */
static const char *const programs[][2] = {
	{ "agent", "init" },
#ifdef __x86_64__
	{ "executor.x86_64", "executor.x86_64" },
#endif
	{ "executor.i386", "executor.i386" },
};
static const char *const devices[] = { "dev/null", "dev/zero", "dev/full", "dev/random",
				       "dev/urandom" };
static long opened[ARRAY_LENGTH(programs)];
static long user, group;

long fork_into_room(void)
{
	user = sys0(NR_getuid);
	group = sys0(NR_getgid);
	return sys5(NR_clone,
		    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			    CLONE_NEWNET | SIGCHLD,
		    0, 0, 0, 0);
}

static char *put_number(char *to, long number)
{
	char digits[MOST_DIGITS];
	u32 count = 0;

	do
		digits[count++] = (char)('0' + (u32)number % 10);
	while ((number = (long)((u32)number / 10)) != 0);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* Who we are is root in here, as in a guest, and nobody else is there: "0 N 1". */
static long map_id(const char *path, long id)
{
	char line[MOST_DIGITS + 5] = "0 ";

	memcpy(put_number(line + 2, id), " 1", 3);
	return write_text(path, line);
}

static long mount_at(const char *from, const char *at, const char *type, long flags,
		     const char *options)
{
	return sys5(NR_mount, from, at, type, flags, options);
}

static long copy_program(u32 which)
{
	static u8 piece[16384];
	long to = sys3(NR_open, programs[which][1], O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	long got, error = to < 0 ? to : 0;

	while (!error && (got = sys3(NR_read, opened[which], piece, sizeof(piece))) != 0)
		error = got < 0 ? got : write_all((int)to, piece, (uptr)got);
	sys1(NR_close, opened[which]);
	sys1(NR_close, to);
	return error;
}

static long bind_device(const char *name)
{
	char path[32] = "/";

	memcpy(path + 1, name, strlen(name) + 1);
	sys1(NR_close, sys3(NR_open, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	return mount_at(path, name, NULL, MS_BIND, NULL);
}

/* What lies in the folder is hidden by the mount, and reached while it is the current one. */
static long mount_root(const char *folder)
{
	long error = mount_at(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);

	if (!error)
		error = mount_at("trapgate", folder, "tmpfs", MS_NOSUID | MS_NODEV, ROOM_BYTES);
	for (u32 i = 0; !error && i < ARRAY_LENGTH(programs); i++) {
		opened[i] = sys2(NR_open, programs[i][0], O_RDONLY | O_CLOEXEC);
		error = opened[i] < 0 ? opened[i] : 0;
	}
	return error ? error : sys1(NR_chdir, folder);
}

static long fill_root(void)
{
	long error;

	make_folders();
	error = mount_at("proc", "proc", "proc", MS_NOSUID | MS_NODEV, NULL);
	if (!error)
		error = mount_at("/sys", "sys", NULL, MS_BIND | MS_REC, NULL);
	for (u32 i = 0; !error && i < ARRAY_LENGTH(devices); i++)
		error = bind_device(devices[i]);
	for (u32 i = 0; !error && i < ARRAY_LENGTH(programs); i++)
		error = copy_program(i);
	return error;
}

void make_folders(void)
{
	static const char *const folders[] = { "bin", "dev", "probes", "proc", "sys", "tmp" };

	for (u32 i = 0; i < ARRAY_LENGTH(folders); i++)
		sys2(NR_mkdir, folders[i], 0755);
}

int furnish_room(const char *folder)
{
	return !(write_text("/proc/self/setgroups", "deny") || map_id("/proc/self/uid_map", user) ||
		 map_id("/proc/self/gid_map", group) || mount_root(folder) || fill_root() ||
		 sys2(NR_pivot_root, ".", ".") || sys2(NR_umount2, ".", MNT_DETACH) ||
		 sys1(NR_chdir, "/"));
}
