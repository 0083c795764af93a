// SPDX-License-Identifier: Apache-2.0
/*
 * What a restored machine needs before anything else: a wall clock that is right, and random
 * numbers that its siblings from the same state do not get as well.
 * Source: include/uapi/linux/random.h RNDADDENTROPY, RNDRESEEDCRNG (6.1)
 */
#include "executor.h"
#include "numbers.h"

#define RNDADDENTROPY 0x40085203
#define RNDRESEEDCRNG 0x5207
#define CLOCK_REALTIME 0
#define MOST_RANDOM 64

struct pool {
	int entropy_bits;
	int bytes;
	u8 random[MOST_RANDOM];
};

static u32 reseed(const u8 *random, u32 bytes)
{
	struct pool pool = { (int)bytes * 8, (int)bytes, { 0 } };
	long fd = sys3(NR_open, "/dev/urandom", O_RDWR | O_CLOEXEC, 0);
	long error;

	if (fd < 0)
		return (u32)-fd;
	memcpy(pool.random, random, bytes);
	error = sys3(NR_ioctl, fd, RNDADDENTROPY, &pool);
	if (!error)
		error = sys2(NR_ioctl, fd, RNDRESEEDCRNG);
	sys1(NR_close, fd);
	return (u32)-error;
}

u32 settle(u64 seconds, u64 nanoseconds, const u8 *random, u32 bytes)
{
	const struct {
		long s, ns;
	} now = { (long)seconds, (long)nanoseconds };
	long error = sys2(NR_clock_settime, CLOCK_REALTIME, &now);

	if (error)
		return (u32)-error;
	return reseed(random, bytes < MOST_RANDOM ? bytes : MOST_RANDOM);
}
