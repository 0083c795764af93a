/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls and constants that the guest code itself uses.
 * Source: arch/x86/entry/syscalls/syscall_{32,64}.tbl and include/uapi, 6.1.
 */
#ifndef NUMBERS_H
#define NUMBERS_H

#ifdef __x86_64__
#define NR_read 0
#define NR_write 1
#define NR_open 2
#define NR_close 3
#define NR_poll 7
#define NR_lseek 8
#define NR_mmap 9
#define NR_munmap 11
#define NR_rt_sigaction 13
#define NR_rt_sigreturn 15
#define NR_ioctl 16
#define NR_fcntl 72
#define NR_getpid 39
#define NR_fork 57
#define NR_execve 59
#define NR_exit 60
#define NR_rt_sigprocmask 14
#define NR_wait4 61
#define NR_kill 62
#define NR_mkdir 83
#define NR_modify_ldt 154
#define NR_sigaltstack 131
#define NR_prctl 157
#define NR_mount 165
#define NR_gettid 186
#define NR_exit_group 231
#define NR_setsid 112
#define NR_dup3 292
#define NR_sched_yield 24
#define NR_nanosleep 35
#define NR_clock_settime 227
#define NR_pipe2 293
#define NR_setitimer 38
#define NR_futex 202
#define NR_epoll_ctl 233
#define NR_epoll_create1 291
#define NR_socketpair 53
#define NR_flock 73
#define NR_clone 56
#define NR_chdir 80
#define NR_rmdir 84
#define NR_umask 95
#define NR_chown 92
#define NR_getuid 102
#define NR_getgid 104
#define NR_setgroups 116
#define NR_setresuid 117
#define NR_setresgid 119
#define NR_pivot_root 155
#define NR_setrlimit 160
#define NR_umount2 166
#define NR_reboot 169
#define NR_getdents64 217
#define NR_openat 257
#define NR_unlinkat 263
#else
#define NR_exit 1
#define NR_fork 2
#define NR_read 3
#define NR_write 4
#define NR_open 5
#define NR_close 6
#define NR_execve 11
#define NR_lseek 19
#define NR_getpid 20
#define NR_mount 21
#define NR_kill 37
#define NR_mkdir 39
#define NR_ioctl 54
#define NR_fcntl 55
#define NR_setsid 66
#define NR_mmap 192 /* mmap2: the offset counts pages */
#define NR_munmap 91
#define NR_wait4 114
#define NR_sigreturn 119
#define NR_modify_ldt 123
#define NR_rt_sigprocmask 175
#define NR_poll 168
#define NR_prctl 172
#define NR_rt_sigreturn 173
#define NR_rt_sigaction 174
#define NR_sigaltstack 186
#define NR_gettid 224
#define NR_exit_group 252
#define NR_dup3 330
#define NR_sched_yield 158
#define NR_nanosleep 162
#define NR_clock_settime 264
#define NR_pipe2 331
#define NR_setitimer 104
#define NR_futex 240
#define NR_epoll_ctl 255
#define NR_epoll_create1 329
#define NR_socketpair 360
#define NR_flock 143
#define NR_clone 120
#define NR_chdir 12
#define NR_rmdir 40
#define NR_umask 60
#define NR_chown 212 /* chown32, as the next ones are */
#define NR_getuid 199
#define NR_getgid 200
#define NR_setgroups 206
#define NR_setresuid 208
#define NR_setresgid 210
#define NR_pivot_root 217
#define NR_setrlimit 75
#define NR_umount2 52
#define NR_reboot 88
#define NR_getdents64 220
#define NR_openat 295
#define NR_unlinkat 301
#endif

#define EINTR 4
#define EAGAIN 11
#define EINVAL 22
#define EPIPE 32
#define ETIMEDOUT 110

#define O_RDONLY 0
#define O_WRONLY 01
#define O_RDWR 02
#define O_CREAT 0100
#define O_NOCTTY 0400
#define O_TRUNC 01000
#define O_NONBLOCK 04000
#define O_DIRECTORY 0200000
#define O_NOFOLLOW 0400000
#define O_CLOEXEC 02000000

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20

#define POLLIN 1
#define POLLOUT 4
#define POLLHUP 0x10
#define POLLRDHUP 0x2000
#define WNOHANG 1
#define SIGKILL 9
#define SIGPIPE 13
#define SIGCHLD 17
#define SIG_DFL 0
#define SIG_IGN 1
#define CLONE_VM 0x00000100
#define CLONE_VFORK 0x00004000
#define F_SETFL 4
#define PR_SET_PDEATHSIG 1
#define PR_SET_DUMPABLE 4
#define PR_SET_CHILD_SUBREAPER 36
#define TCSETS 0x5402
#define TCSBRK 0x5409

#ifndef __ASSEMBLER__
struct pollfd {
	int fd;
	short events;
	short revents;
};
#endif

#endif
