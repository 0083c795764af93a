// SPDX-License-Identifier: Apache-2.0
/* What every probe needs to say what it has seen. */
#include "numbers.h"
#include "report.h"

#define MOST_BYTES 4096
#define KEPT_BYTES 16000 /* as much as the agent passes on at once */

static char kept[KEPT_BYTES];
static uptr kept_bytes;
static int is_keeping;

static void write_kept(void)
{
	write_all(1, kept, kept_bytes);
	kept_bytes = 0;
}

void keep_reports(void)
{
	is_keeping = 1;
}

void write_reports(void)
{
	is_keeping = 0;
	write_kept();
}

static void put(const char *line, uptr bytes)
{
	if (bytes > sizeof(kept) - kept_bytes)
		write_kept();
	memcpy(kept + kept_bytes, line, bytes);
	kept_bytes += bytes;
	if (!is_keeping)
		write_kept();
}

static char hexadecimal(u32 four)
{
	return (char)(four < 10 ? '0' + four : 'a' + four - 10);
}

static void put_hexadecimal(char *to, u64 value)
{
	for (int digit = 15; digit >= 0; digit--)
		*to++ = hexadecimal((u32)(value >> 4 * digit) & 15);
}

void report(const char *name, u64 value)
{
	char line[128];
	uptr length = strlen(name);

	if (length > sizeof(line) - 18)
		die(99);
	memcpy(line, name, length);
	line[length] = ' ';
	put_hexadecimal(line + length + 1, value);
	line[length + 17] = '\n';
	put(line, length + 18);
}

void report_memory(const char *name, const void *from, uptr bytes)
{
	static char line[2 * MOST_BYTES + 64];
	const u8 *first = from;
	char *to = line + strlen(name);

	if (bytes > MOST_BYTES || to > line + 60)
		die(99);
	memcpy(line, name, strlen(name));
	*to++ = ' ';
	for (const u8 *at = first + bytes; at > first; *to++ = hexadecimal(*at & 15)) {
		at--;
		*to++ = hexadecimal(*at >> 4);
	}
	*to++ = '\n';
	put(line, (uptr)(to - line));
}

u64 argument(const uptr *stack, u32 place)
{
	const char *digit = place < stack[0] ? (const char *)stack[1 + place] : "";
	u64 value = 0;

	for (; *digit; digit++)
		value = value << 4 | (u64)(*digit <= '9' ? *digit - '0' : *digit - 'a' + 10);
	return value;
}

uptr auxiliary(const uptr *stack, uptr type)
{
	const uptr *at = stack + 1 + stack[0] + 1;

	while (*at)
		at++;
	for (at++; at[0]; at += 2)
		if (at[0] == type)
			return at[1];
	return 0;
}
