// SPDX-License-Identifier: Apache-2.0
/*
 * What a restored machine needs before anything else: a wall clock that is right, and random
 * numbers that its siblings from the same state do not get as well.
 * Source: include/uapi/linux/random.h RNDADDENTROPY, RNDRESEEDCRNG (6.1)
 */
#include "agent.h"
#include "numbers.h"

#define RNDADDENTROPY 0x40085203
#define RNDRESEEDCRNG 0x5207
#define CLOCK_REALTIME 0

static long pool_fd = -1;

void open_random_pool(void)
{
	pool_fd = sys3(NR_open, "/dev/urandom", O_RDWR | O_CLOEXEC, 0);
}

static long set_clock(u64 seconds, u64 nanoseconds)
{
	const struct {
		long s, ns;
	} now = { (long)seconds, (long)nanoseconds };

	return sys2(NR_clock_settime, CLOCK_REALTIME, &now);
}

static long reseed(const u8 *seed)
{
	struct {
		int entropy_bits;
		int bytes;
		u8 seed[SEED_BYTES];
	} pool = { SEED_BYTES * 8, SEED_BYTES, { 0 } };
	long error;

	memcpy(pool.seed, seed, SEED_BYTES);
	error = sys3(NR_ioctl, pool_fd, RNDADDENTROPY, &pool);
	return error ? error : sys2(NR_ioctl, pool_fd, RNDRESEEDCRNG);
}

void settle(const struct frame *request)
{
	struct cursor c = open_request(request);
	u8 fresh = take_u8(&c);
	u64 seconds = take_u64(&c);
	u64 nanoseconds = take_u64(&c);
	long error;

	if (c.bad || c.end - c.at != SEED_BYTES) {
		send_status(STATUS_MALFORMED, request->sequence, 0);
		return;
	}
	if (fresh) {
		leave_executors();
		rest();
	}
	error = set_clock(seconds, nanoseconds);
	if (!error)
		error = reseed(c.at);
	if (error)
		send_status(STATUS_ERRNO, request->sequence, (u32)-error);
	else
		send_done(request->sequence);
}
