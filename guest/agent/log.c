// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's log, from its first record on. Records come as /dev/kmsg gives them, one a read.
 * Source: Documentation/ABI/testing/dev-kmsg (6.1)
 */
#include "agent.h"
#include "numbers.h"

static long log_fd = -1;
static u8 records[MAX_PAYLOAD];

/* PRINTK_MESSAGE_MAX is 2048, and what is escaped takes four times that. */
#define RECORD_BYTES 8192u

void open_log(void)
{
	log_fd = sys2(NR_open, "/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* A reader that was too slow is told so with EPIPE, and goes on with the oldest that is left. */
static long next_record(u8 *to)
{
	long got;

	do
		got = sys3(NR_read, log_fd, to, RECORD_BYTES);
	while (got == -EPIPE || got == -EINTR);
	return got;
}

void give_log(const struct frame *request)
{
	u32 filled = 0;
	long got;

	while (log_fd >= 0 && (got = next_record(records + filled)) > 0) {
		filled += (u32)got;
		if (filled > sizeof(records) - RECORD_BYTES) {
			send_frame(FRAME_DATA, STATUS_OK, request->sequence, records, filled);
			filled = 0;
		}
	}
	if (filled)
		send_frame(FRAME_DATA, STATUS_OK, request->sequence, records, filled);
	send_done(request->sequence);
}
