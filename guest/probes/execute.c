// SPDX-License-Identifier: Apache-2.0
/*
 * execute: runs pieces of machine code, each with every register set, and reports the signal that
 * stops it, or what it leaves.
 *
 * Arguments, for every piece: how many registers it sets, a place (REG_...) and a value for each,
 * its length in bytes, its bytes in words.
 * A page at ROOM may be written to, the next one read, the third neither.
 *
 * Asks:   which exception becomes which signal, with what in its siginfo and its frame?
 * Known:  QEMU 7.2 (TCG) stops the machine at INT1 (f1), raises no #AC and no unmasked SSE
 *         exception: these are not for this probe.
 * Source: arch/x86/kernel/traps.c, arch/x86/mm/fault.c (6.1)
 */
#include "catch.h"
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define CODE 0x22000000ul
#define ROOM 0x23000000ul
#define PROT_EXEC 4
#define MOST_ARGUMENTS 900

_Noreturn void c_main(const uptr *stack);

static const uptr landing = (uptr)landed_execute;
static uptr numbers[MOST_ARGUMENTS];

#ifdef __x86_64__
static const u8 jump[] = { 0xff, 0x24, 0x25 };
#else
static const u8 jump[] = { 0xff, 0x25 };
#endif

static void map(uptr start, uptr bytes, u32 protection)
{
	if ((uptr)sys6(NR_mmap, start, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		       -1, 0) != start)
		die(100);
}

static void go_on_behind(struct arrival *a)
{
	*(uptr *)(a->at + FRAME_IP) = landing;
	*(uptr *)(a->at + FRAME_FLAGS) = 0x202;
}

static void write_code(const uptr *words, uptr bytes)
{
	u8 *end = (u8 *)CODE + bytes;
	u32 address = (u32)(uptr)&landing;

	memset((void *)CODE, 0xcc, PAGE_BYTES);
	memcpy((void *)CODE, words, bytes);
	memcpy(end, jump, sizeof(jump));
	memcpy(end + sizeof(jump), &address, sizeof(address));
}

static void report_piece(u32 number)
{
	static struct {
		u64 arrived, before[REGISTER_SLOTS], after[REGISTER_SLOTS];
		u8 frame[FRAME_BYTES];
	} seen;

	seen.arrived = arrived;
	memcpy(seen.before, before, sizeof(seen.before));
	memcpy(seen.after, after, sizeof(seen.after));
	memcpy(seen.frame, arrivals[0].frame, sizeof(seen.frame));
	report_numbered(number, "seen", &seen, arrived ? sizeof(seen) : sizeof(seen) - FRAME_BYTES);
}

/* Returns where the next piece begins. */
static const uptr *run_piece(u32 number, const uptr *at)
{
	uptr sets = *at++;

	load_registers();
	for (; sets; sets--, at += 2)
		before[at[0]] = at[1];
	write_code(at + 1, at[0]);
	arrived = 0;
	go_through_code((const void *)CODE);
	report_piece(number);
	return at + 1 + (at[0] + sizeof(uptr) - 1) / sizeof(uptr);
}

_Noreturn void c_main(const uptr *stack)
{
	static const int signals[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };
	static u8 alternate[65536];
	struct stack other = { (uptr)alternate, 0, sizeof(alternate) };
	const uptr *at = numbers, *end = numbers + stack[0] - 1;
	u32 number = 0;

	if (stack[0] > MOST_ARGUMENTS)
		die(101);
	for (u32 i = 1; i < stack[0]; i++)
		numbers[i - 1] = (uptr)argument(stack, i);
	in_handler = go_on_behind;
	sys2(NR_sigaltstack, &other, NULL);
	for (u32 i = 0; i < ARRAY_LENGTH(signals); i++)
		catch_signal(signals[i], SA_SIGINFO | SA_RESTORER | SA_ONSTACK);
	map(CODE, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(ROOM, PAGE_BYTES, PROT_READ | PROT_WRITE);
	map(ROOM + PAGE_BYTES, PAGE_BYTES, PROT_READ);
	map(ROOM + 2 * PAGE_BYTES, PAGE_BYTES, 0);
	while (at < end)
		at = run_piece(number++, at);
	die(0);
}
