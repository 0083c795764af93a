// SPDX-License-Identifier: Apache-2.0
/* Files of the guest, written and read in pieces. */
#include "agent.h"
#include "numbers.h"

static u8 piece[MAX_PAYLOAD];

static long open_at(const char *path, int flags, u32 mode, u64 offset)
{
	long fd = sys3(NR_open, path, flags | O_CLOEXEC | O_NOCTTY, mode);

	if (fd >= 0 && offset)
		sys3(NR_lseek, fd, (long)offset, 0);
	return fd;
}

/* Of a file that is there already; 0 or -errno. */
long write_text(const char *path, const char *text)
{
	long fd = sys3(NR_open, path, O_WRONLY | O_CLOEXEC, 0);
	long error = fd < 0 ? fd : write_all((int)fd, text, strlen(text));

	if (fd >= 0)
		sys1(NR_close, fd);
	return error;
}

static void finish(long fd, long error, u32 sequence)
{
	if (fd >= 0)
		sys1(NR_close, fd);
	if (error < 0)
		send_status(STATUS_ERRNO, sequence, (u32)-error);
	else
		send_done(sequence);
}

void put_file(const struct frame *request)
{
	struct cursor c = open_request(request);
	u32 mode = take_u32(&c);
	u64 offset = take_u64(&c);
	const char *path = take_text(&c);
	long fd, error;

	if (c.bad) {
		send_status(STATUS_MALFORMED, request->sequence, 0);
		return;
	}
	fd = open_at(path, O_WRONLY | O_CREAT | (offset ? 0 : O_TRUNC), mode, offset);
	error = fd < 0 ? fd : 0;
	if (!error && c.end > c.at)
		error = write_all((int)fd, c.at, (uptr)(c.end - c.at));
	finish(fd, error, request->sequence);
}

void get_file(const struct frame *request)
{
	struct cursor c = open_request(request);
	u64 offset = take_u64(&c);
	u32 most = take_u32(&c);
	const char *path = take_text(&c);
	long fd, got = 0;

	if (c.bad) {
		send_status(STATUS_MALFORMED, request->sequence, 0);
		return;
	}
	fd = open_at(path, O_RDONLY, 0, offset);
	while (fd >= 0 && most) {
		u32 want = most < sizeof(piece) ? most : (u32)sizeof(piece);

		got = sys3(NR_read, fd, piece, want);
		if (got <= 0)
			break;
		send_frame(FRAME_DATA, STATUS_OK, request->sequence, piece, (u32)got);
		most -= (u32)got;
	}
	finish(fd, fd < 0 ? fd : got, request->sequence);
}
