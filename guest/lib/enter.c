// SPDX-License-Identifier: Apache-2.0
/* Calls through the entry paths, for probes; the instruction itself is in entry/NAME.S. */
#include "enter.h"
#include "report.h"
#include "vdso.h"

#define CALL_STACK_BYTES 65536

#define ENTRY_DECLARE(name) void enter_##name(void);
#define ENTRY_ADDRESS(name) enter_##name,
ENTRY_PATHS(ENTRY_DECLARE)
static void (*const entries[])(void) = { ENTRY_PATHS(ENTRY_ADDRESS) };

#define LANDED_DECLARE(name) extern u8 landed_##name[];
#define LANDED_ADDRESS(name) (uptr) landed_##name,
ENTRY_PATHS(LANDED_DECLARE)
static const uptr landed[] = { ENTRY_PATHS(LANDED_ADDRESS) };

static const u8 argument_registers[][6] = { ENTRY_ARGUMENTS };
static const u64 defaults[] = { DEFAULT_REGISTERS };
static u8 call_stack[CALL_STACK_BYTES] __attribute__((aligned(64)));

uptr at_sysinfo;

void prepare_to_enter(const uptr *stack)
{
	at_sysinfo = auxiliary(stack, AT_SYSINFO);
}

uptr landing_of(u32 entry)
{
	return landed[entry];
}

void lay_out_call(u32 entry, long nr, long a, long b, long c, long d, long e, long f)
{
	const long arguments[] = { a, b, c, d, e, f };

	memset(after, 0, SLOT(REGISTER_SLOTS));
	memcpy(before, defaults, sizeof(defaults));
	for (u32 i = 0; i < ARRAY_LENGTH(arguments); i++)
		before[argument_registers[entry][i]] = (uptr)arguments[i];
	before[0] = (uptr)nr;
	before[7] = (uptr)(call_stack + sizeof(call_stack) - 64);
}

long make_call(u32 entry)
{
	entries[entry]();
	return (long)after[0];
}

long enter(u32 entry, long nr, long a, long b, long c, long d, long e, long f)
{
	lay_out_call(entry, nr, a, b, c, d, e, f);
	return make_call(entry);
}
