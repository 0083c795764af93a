// SPDX-License-Identifier: Apache-2.0
/*
 * executor: carries out programs of operations, which come and go over two pipes to the agent.
 * A program is a u32 length and that many bytes; so is its answer. What an operation looks like
 * stands in harness/wire.py; that a program is well formed is the host's business, what its calls
 * do to this process is not: when it dies, the agent says so and starts another.
 */
#include "executor.h"
#include "numbers.h"

static struct message program, answer;
static const u8 *at, *end;
static u8 *put;

struct span {
	u64 address;
	u32 bytes;
} __attribute__((packed));

#define ENTRY_DECLARE(name) void enter_##name(void);
#define ENTRY_ADDRESS(name) enter_##name,
ENTRY_PATHS(ENTRY_DECLARE)
static void (*const entries[])(void) = { ENTRY_PATHS(ENTRY_ADDRESS) };
static const u64 defaults[] = { DEFAULT_REGISTERS };

_Noreturn void c_main(const uptr *stack);

static void take(void *to, uptr bytes)
{
	if (bytes > (uptr)(end - at))
		die(101);
	memcpy(to, at, bytes);
	at += bytes;
}

static uptr room(void)
{
	return (uptr)(answer.content + sizeof(answer.content) - put);
}

static void give(const void *from, uptr bytes)
{
	if (bytes > room())
		die(102);
	memcpy(put, from, bytes);
	put += bytes;
}

static void do_write(void)
{
	struct span to;
	u32 left;

	take(&to, sizeof(to));
	if (to.bytes > (uptr)(end - at))
		die(101);
	left = (u32)guarded_copy((void *)(uptr)to.address, at, to.bytes);
	at += to.bytes;
	give(&left, sizeof(left));
}

static void do_read(void)
{
	struct span from;
	u8 *count = put;
	u32 got = 0;

	take(&from, sizeof(from));
	give(&got, sizeof(got));
	if (from.bytes > room())
		die(102);
	got = from.bytes - (u32)guarded_copy(put, (void *)(uptr)from.address, from.bytes);
	memcpy(count, &got, sizeof(got));
	put += got;
}

static void do_fill(void)
{
	struct span to;
	u8 value;
	u32 left;

	take(&to, sizeof(to));
	take(&value, sizeof(value));
	for (left = to.bytes; left; left--)
		if (guarded_copy((void *)(uptr)(to.address + to.bytes - left), &value, 1))
			break;
	give(&left, sizeof(left));
}

/* Registers that differ from what went in, as a mask and values of the ABI's width; of a return
 * the host knows the address. */
static void give_changes(void)
{
	u32 mask = 0;

	for (u32 i = 0; i < REGISTER_SLOTS; i++)
		if (after[i] != before[i] && (i != REG_IP || caught.signal))
			mask |= 1u << i;
	give(&mask, sizeof(mask));
	for (u32 i = 0; i < REGISTER_SLOTS; i++)
		if (mask & (1u << i))
			give(&after[i], sizeof(uptr));
}

static void do_call(void)
{
	u8 entry;
	u32 mask;

	take(&entry, sizeof(entry));
	take(&mask, sizeof(mask));
	if (entry >= ARRAY_LENGTH(entries))
		die(103);
	memset(before, 0, SLOT(REG_CS));
	memcpy(before, defaults, sizeof(defaults));
	memcpy(before + REG_CS, first_registers + REG_CS, SLOT(REGISTER_SLOTS - REG_CS));
	memset(after, 0, sizeof(after));
	for (u32 i = 0; i < REGISTER_SLOTS; i++)
		if (mask & (1u << i))
			take(&before[i], sizeof(uptr));
	call_through(entries[entry]);
	give(&caught.signal, sizeof(caught.signal));
	if (caught.signal)
		give(&caught, sizeof(caught));
	give_changes();
}

static void run(void)
{
	at = program.content;
	end = program.content + program.bytes;
	put = answer.content;
	while (at < end) {
		switch (*at++) {
		case OP_WRITE:
			do_write();
			break;
		case OP_READ:
			do_read();
			break;
		case OP_FILL:
			do_fill();
			break;
		case OP_CALL:
			do_call();
			break;
		default:
			die(104);
		}
	}
	answer.bytes = (u32)(put - answer.content);
}

_Noreturn void c_main(const uptr *stack)
{
	own_thread = (uptr)sys0(NR_gettid);
	map_regions();
	describe(stack);
	catch_signals();
	while (read_message(REQUEST_FD, &program) == 0) {
		run();
		if (write_all(ANSWER_FD, &answer, sizeof(answer.bytes) + answer.bytes))
			break;
	}
	die(0);
}
