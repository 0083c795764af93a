/* SPDX-License-Identifier: Apache-2.0 */
/* What freestanding guest code has instead of a C library. */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef unsigned long uptr; /* as wide as a pointer and as a register */

#define NULL ((void *)0)
#define PAGE_BYTES 4096u
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* One system call by the ABI's plainest entry; a negative result is -errno. */
long raw_syscall(long nr, long a, long b, long c, long d, long e, long f);

/* The same with 0 to 6 arguments of any scalar type. */
#define sys0(nr) raw_syscall(nr, 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) raw_syscall(nr, (long)(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b) raw_syscall(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c) raw_syscall(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define sys4(nr, a, b, c, d) raw_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define sys5(nr, a, b, c, d, e) \
	raw_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define sys6(nr, a, b, c, d, e, f) \
	raw_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

void *memcpy(void *to, const void *from, uptr bytes);
void *memset(void *to, int value, uptr bytes);
uptr strlen(const char *text);

/* What has come, at least a byte, over EINTR; how much, or -errno, or -EPIPE at the end. */
long read_some(int fd, void *to, uptr bytes);

/* All of `bytes`, over short counts and EINTR; 0, or -errno, or -EPIPE at the end of the stream. */
long read_all(int fd, void *to, uptr bytes);
long write_all(int fd, const void *from, uptr bytes);

_Noreturn void die(int status);

#endif
