// SPDX-License-Identifier: Apache-2.0
/* The few functions that a compiler and our own code expect of a C library. */
#include "guest.h"
#include "numbers.h"

/* Wherever it lies: x86 does not mind. Words, since an emulator minds every instruction. */
typedef uptr __attribute__((may_alias, aligned(1))) word;

void *memcpy(void *to, const void *from, uptr bytes)
{
	u8 *t = to;
	const u8 *f = from;

	for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
		*(word *)t = *(const word *)f;
		t += sizeof(word);
		f += sizeof(word);
	}
	while (bytes--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int value, uptr bytes)
{
	const uptr filled = (u8)value * (~(uptr)0 / 0xff);
	u8 *t = to;

	for (; bytes >= sizeof(word); bytes -= sizeof(word)) {
		*(word *)t = filled;
		t += sizeof(word);
	}
	while (bytes--)
		*t++ = (u8)value;
	return to;
}

uptr strlen(const char *text)
{
	const char *end = text;

	while (*end)
		end++;
	return (uptr)(end - text);
}

long read_some(int fd, void *to, uptr bytes)
{
	long got;

	do
		got = sys3(NR_read, fd, to, bytes);
	while (got == -EINTR);
	return got ? got : -EPIPE;
}

long read_all(int fd, void *to, uptr bytes)
{
	u8 *at = to;

	while (bytes) {
		long got = read_some(fd, at, bytes);

		if (got < 0)
			return got;
		at += got;
		bytes -= (uptr)got;
	}
	return 0;
}

long write_all(int fd, const void *from, uptr bytes)
{
	const u8 *at = from;

	while (bytes) {
		long put = sys3(NR_write, fd, at, bytes);

		if (put == -EINTR)
			continue;
		if (put <= 0)
			return put ? put : -EPIPE;
		at += put;
		bytes -= (uptr)put;
	}
	return 0;
}

_Noreturn void die(int status)
{
	for (;;)
		sys1(NR_exit_group, status);
}
