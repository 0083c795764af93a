// SPDX-License-Identifier: Apache-2.0
/*
 * The window: memory that host and guest share, with a ring of bytes in each direction. Whoever
 * puts bytes in raises a count, whoever takes them out raises another; nobody writes the other's.
 */
#include "agent.h"
#include "numbers.h"

static volatile u32 *words; /* NULL: there is no window */
static u8 *window;

int open_window(void)
{
	long fd = sys3(NR_open, WINDOW_DEVICE "/resource2", O_RDWR | O_CLOEXEC, 0);
	long at;

	if (fd < 0)
		return 0;
	at = sys6(NR_mmap, 0, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sys1(NR_close, fd);
	if (at < 0 && at > -4096)
		return 0;
	window = (u8 *)at;
	words = (volatile u32 *)at;
	return 1;
}

static u32 least(u32 a, u32 b, u32 c)
{
	u32 ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static u32 waiting_bytes(void)
{
	u32 bytes = words[TO_GUEST_PUT] - words[TO_GUEST_TAKEN];

	return bytes <= RING_BYTES ? bytes : 0;
}

u32 take_from_window(void *to, u32 most)
{
	u32 taken = words[TO_GUEST_TAKEN];
	u32 at = taken % RING_BYTES;
	u32 now = least(waiting_bytes(), most, RING_BYTES - at);

	memcpy(to, window + TO_GUEST + at, now);
	__sync_synchronize();
	words[TO_GUEST_TAKEN] = taken + now;
	return now;
}

static u64 ticks(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

/* When that was: whoever takes the machine back turns its counter back by as much. */
static void leave_time(void)
{
	volatile u32 *clock = words + AGENT_CLOCK / sizeof(*words);
	u64 now = ticks();

	clock[0] = (u32)now;
	clock[1] = (u32)(now >> 32);
}

void put_into_window(const void *from, u32 bytes)
{
	const u8 *next = from;

	leave_time();
	while (bytes) {
		u32 put = words[TO_HOST_PUT];
		u32 at = put % RING_BYTES;
		u32 room = RING_BYTES - (put - words[TO_HOST_TAKEN]);
		u32 now = least(bytes, room, RING_BYTES - at);

		if (!now)
			sys0(NR_sched_yield);
		memcpy(window + TO_HOST + at, next, now);
		__sync_synchronize();
		words[TO_HOST_PUT] = put + now;
		next += now;
		bytes -= now;
	}
}

static int is_resting;

/* Nothing is to be expected for a while: the next wait begins without a look. */
void rest(void)
{
	is_resting = 1;
}

/* From now on the host has to knock. */
int is_window_empty_unlooked(void)
{
	words[AGENT_LOOKS] = 0;
	__sync_synchronize();
	return !waiting_bytes();
}

/*
 * A request follows an answer at once, or after the host has thought: what waits in short naps
 * leaves the host a processor to think with. Where timers are coarse, a nap would take a tick.
 */
static void pause_after(u64 waited)
{
	static u32 long_naps; /* in a row */
	const struct {
		long s, ns;
	} nap = { 0, WINDOW_NAP_NS };
	u64 begin = ticks();

	if (long_naps > 2 || waited < WINDOW_TICKS / 16) {
		sys0(NR_sched_yield);
		return;
	}
	sys2(NR_nanosleep, &nap, NULL);
	long_naps = ticks() - begin > WINDOW_TICKS ? long_naps + 1 : 0;
}

/* Look for a while; whoever finds nothing has said so before the last look, and may sleep. */
int is_window_empty_after_looking(void)
{
	u64 begin = ticks();
	u64 waited = is_resting ? WINDOW_TICKS : 0;

	is_resting = 0;
	words[AGENT_LOOKS] = 1;
	for (; !waiting_bytes() && waited < WINDOW_TICKS; waited = ticks() - begin)
		pause_after(waited);
	return !waiting_bytes() && is_window_empty_unlooked();
}
