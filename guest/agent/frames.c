// SPDX-License-Identifier: Apache-2.0
/* Frames on a byte stream: header, payload, CRC-32 (the one of zlib and Ethernet) of both. */
#include "agent.h"
#include "numbers.h"

#define POLYNOMIAL 0xedb88320u

static int in_fd, out_fd;
static int in_window;
static u32 tables[4][256]; /* [n]: a byte, and n zeros after it */
static struct frame out;
static u8 waiting[4096]; /* bytes read ahead */
static u32 waiting_at, waiting_end;

static void fill_tables(void)
{
	for (u32 i = 0; i < 256; i++) {
		u32 value = i;

		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ POLYNOMIAL : value >> 1;
		tables[0][i] = value;
	}
	for (u32 n = 1; n < ARRAY_LENGTH(tables); n++)
		for (u32 i = 0; i < 256; i++) {
			u32 before = tables[n - 1][i];

			tables[n][i] = tables[0][before & 0xff] ^ before >> 8;
		}
}

/* Wherever they lie. */
typedef u32 __attribute__((may_alias, aligned(1))) four;

/* Four bytes at a time, then those that are left. */
static u32 checksum(const void *from, uptr bytes)
{
	const u8 *at = from;
	u32 value = ~0u;

	for (; bytes >= sizeof(four); bytes -= sizeof(four)) {
		value ^= *(const four *)at;
		value = tables[3][value & 0xff] ^ tables[2][value >> 8 & 0xff] ^
			tables[1][value >> 16 & 0xff] ^ tables[0][value >> 24];
		at += sizeof(four);
	}
	while (bytes--)
		value = tables[0][(value ^ *at++) & 0xff] ^ value >> 8;
	return ~value;
}

void open_frames(int in, int out_to)
{
	in_fd = in;
	out_fd = out_to;
	fill_tables();
}

/* The answer still goes over the port: whoever asked has to hear whether there is a window. */
void share_window(const struct frame *request)
{
	int opened = open_window();

	if (opened)
		send_done(request->sequence);
	else
		send_status(STATUS_MALFORMED, request->sequence, 0);
	in_window = opened;
}

static long read_port(void)
{
	long got;

	do
		got = sys3(NR_read, in_fd, waiting, sizeof(waiting));
	while (got == -EINTR);
	return got;
}

/* What comes over the port while the window is used says only that there is something in it. */
static long read_window(void)
{
	while (is_window_empty_after_looking())
		if (read_port() <= 0)
			return -EPIPE;
	return (long)take_from_window(waiting, sizeof(waiting));
}

static long read_ahead(void)
{
	long got = in_window ? read_window() : read_port();

	waiting_at = 0;
	waiting_end = got > 0 ? (u32)got : 0;
	return got > 0 ? 0 : -EPIPE;
}

static long take_bytes(void *to, u32 bytes)
{
	u8 *at = to;

	while (bytes) {
		u32 have = waiting_end - waiting_at;
		u32 now = have < bytes ? have : bytes;

		memcpy(at, waiting + waiting_at, now);
		waiting_at += now;
		at += now;
		bytes -= now;
		if (bytes && read_ahead())
			return -EPIPE;
	}
	return 0;
}

/* 0, or a negative number when the stream has ended or makes no sense; there is no way back. */
long read_frame(struct frame *frame)
{
	u32 expected;
	long error = take_bytes(frame, FRAME_HEADER_BYTES);

	if (error)
		return error;
	if (frame->magic != FRAME_MAGIC || frame->length > MAX_PAYLOAD)
		return -1;
	error = take_bytes(frame->payload, frame->length + (u32)sizeof(expected));
	if (error)
		return error;
	memcpy(&expected, frame->payload + frame->length, sizeof(expected));
	return checksum(frame, FRAME_HEADER_BYTES + frame->length) == expected ? 0 : -1;
}

/* What is to be polled by whoever waits for more than a frame. */
int frames_port(void)
{
	return in_fd;
}

/* Whether there is (the beginning of) a frame; otherwise the port becomes readable with the next. */
int is_frame_waiting(void)
{
	struct pollfd port = { in_fd, POLLIN, 0 };
	int readable = sys3(NR_poll, &port, 1, 0) > 0;

	if (waiting_at < waiting_end || !in_window)
		return waiting_at < waiting_end || readable;
	if (readable)
		(void)read_port();
	return !is_window_empty_unlooked();
}

void send_frame(u8 type, u8 status, u32 sequence, const void *payload, u32 bytes)
{
	u32 sum;

	out.magic = FRAME_MAGIC;
	out.type = type;
	out.status = status;
	out.sequence = sequence;
	out.length = bytes;
	memcpy(out.payload, payload, bytes);
	sum = checksum(&out, FRAME_HEADER_BYTES + bytes);
	memcpy(out.payload + bytes, &sum, sizeof(sum));
	bytes += FRAME_HEADER_BYTES + (u32)sizeof(sum);
	if (in_window)
		put_into_window(&out, bytes);
	else if (write_all(out_fd, &out, bytes))
		die(1);
}

void send_done(u32 sequence)
{
	send_frame(FRAME_DONE, STATUS_OK, sequence, NULL, 0);
}

void send_status(u8 status, u32 sequence, u32 detail)
{
	send_frame(FRAME_DONE, status, sequence, &detail, sizeof(detail));
}

struct cursor open_request(const struct frame *frame)
{
	return (struct cursor){ frame->payload, frame->payload + frame->length, 0 };
}

static void take(struct cursor *c, void *to, uptr bytes)
{
	memset(to, 0, bytes);
	if (bytes > (uptr)(c->end - c->at)) {
		c->bad = 1;
		return;
	}
	memcpy(to, c->at, bytes);
	c->at += bytes;
}

u8 take_u8(struct cursor *c)
{
	u8 value;

	take(c, &value, sizeof(value));
	return value;
}

u32 take_u32(struct cursor *c)
{
	u32 value;

	take(c, &value, sizeof(value));
	return value;
}

u64 take_u64(struct cursor *c)
{
	u64 value;

	take(c, &value, sizeof(value));
	return value;
}

const char *take_text(struct cursor *c)
{
	const u8 *start = c->at;

	for (const u8 *at = start; at < c->end; at++) {
		if (*at == 0) {
			c->at = at + 1;
			return (const char *)start;
		}
	}
	c->bad = 1;
	return "";
}
