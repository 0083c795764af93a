// SPDX-License-Identifier: Apache-2.0
/* What every probe needs to say what it has seen. */
#include "numbers.h"
#include "report.h"

static void put_hexadecimal(char *to, u64 value)
{
	for (int digit = 15; digit >= 0; digit--) {
		u32 four = (u32)(value >> 4 * digit) & 15;

		*to++ = (char)(four < 10 ? '0' + four : 'a' + four - 10);
	}
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
	write_all(1, line, length + 18);
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
