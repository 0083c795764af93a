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
extern uptr code_address;
void enter_execute(void);

void prepare_to_enter(const uptr *stack)
{
	at_sysinfo = auxiliary(stack, AT_SYSINFO);
}

uptr landing_of(u32 entry)
{
	return landed[entry];
}

void load_registers(void)
{
	memcpy(before, defaults, sizeof(defaults));
	before[7] = (uptr)(call_stack + sizeof(call_stack) - 64);
}

void load_call(u32 entry, long nr, long a, long b, long c, long d, long e, long f)
{
	const long arguments[] = { a, b, c, d, e, f };

	load_registers();
	for (u32 i = 0; i < ARRAY_LENGTH(arguments); i++)
		before[argument_registers[entry][i]] = (uptr)arguments[i];
	before[0] = (uptr)nr;
}

long go_through(u32 entry)
{
	memset(after, 0, SLOT(REGISTER_SLOTS));
	entries[entry]();
	return (long)after[0];
}

void go_through_code(const void *code)
{
	code_address = (uptr)code;
	memset(after, 0, SLOT(REGISTER_SLOTS));
	enter_execute();
}

long enter(u32 entry, long nr, long a, long b, long c, long d, long e, long f)
{
	load_call(entry, nr, a, b, c, d, e, f);
	return go_through(entry);
}
