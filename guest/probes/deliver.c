// SPDX-License-Identifier: Apache-2.0
/*
 * deliver: sends itself a signal by one call through one entry path, with every register set; the
 * handler keeps what it finds, changes the frame as it is told to, and returns. A signal that comes
 * of that is kept too, and led back to behind the call.
 *
 * Arguments, as often as wanted: how many follow, entry path, number of the call that sends, how
 * often it takes our id before the signal, signal, flags of the action, flags register, stack pointer
 * (less than 64: a good one, that far down), bytes of the alternate stack, flags of a modify_ldt
 * descriptor (0: none), the action's mask, lower and upper half of what is blocked before, then three
 * numbers for every change of the frame: offset, width in bytes, value. Offsets from 0x8000 on count
 * from where the frame says that the x87 state is. Width 0 puts an address of ours: value 0 that of
 * `reset_ss`, 1 the last 64 bytes before a hole, 2 the hole, 3 + 16 * N a copy of the x87 state N
 * bytes into the alternate stack, 4 + 16 * N a copy of its first N bytes that ends at the hole.
 * A handler whose mask blocks SIGBUS sends itself one, which comes when it returns.
 *
 * Asks:   what is in the frame, what in the registers at the handler's start, and what after it?
 *         what does a frame lead to that no kernel would have made?
 * Known:  nothing.
 * Source: arch/x86/kernel/signal.c, signal_32.c, signal_64.c, fpu/signal.c (6.1)
 */
#include "catch.h"
#include "enter.h"
#include "numbers.h"
#include "report.h"
#include "vdso.h"

#define STATE_OFFSETS 0x8000

/* Places of arguments. */
#define ENTRY 1
#define CALL 2
#define IDS 3
#define SIGNAL 4
#define ACTION_FLAGS 5
#define CPU_FLAGS 6
#define STACK 7
#define ALTERNATE_BYTES 8
#define DESCRIPTOR 9
#define ACTION_MASK 10
#define BLOCKED 11
#define BLOCKED_HIGH 12
#define CHANGES 13
#define MOST_SHIFT 64 /* a stack pointer below it is how far the good one is moved down */

#define MOST_ARGUMENTS 900
#define ALT_BYTES 65536
#define USER_STACK_MARGIN 8192
#define COPY_AT 3 /* the first of the addresses that are a copy */
#define SIG_SETMASK 2
#define SPARE(n) ((long)(0x5aced000u + 0x11u * (n))) /* what arguments hold that no call takes */
#define AUTODISARM ((uptr)0x80000000) /* among the bytes of the alternate stack: its flag */
#define BELOW 256
#define ABOVE 64

struct descriptor {
	u32 entry, base, limit, flags;
};

_Noreturn void c_main(const uptr *stack);
void reset_ss(void);

static const uptr *arguments;
static struct fpu fpu_before, fpu_after, fpu_other;
static u8 user_stack[ALT_BYTES] __attribute__((aligned(64)));
static u8 alternate[2 * ALT_BYTES] __attribute__((aligned(64)));
static u8 around[BELOW + ABOVE];
static u64 mask_inside, mask_after;
static struct stack stack_inside, stack_after;
static long set_inside;
static uptr handler_after;
static u8 *hole;
u64 seen_ss;

/*
 * Where a frame with a foreign stack segment may return to: our own is put back, and what the
 * stack pointer came back as is still there for the landing of the entry path.
 */
#ifdef __x86_64__
__asm__(".globl reset_ss\nreset_ss: jmp landed_syscall");
#else
__asm__(".globl reset_ss\n"
	"reset_ss: movw %ss, seen_ss\n"
	"movw first_registers+8*19, %ss\n"
	"jmp landed_int80");
#endif

/* An address of ours for the frame; `how_far` is for those that are a copy of its x87 state. */
static uptr address_of(const struct arrival *a, uptr which, uptr how_far)
{
	const uptr addresses[] = { (uptr)reset_ss, (uptr)hole - 64, (uptr)hole,
				   (uptr)alternate + how_far, (uptr)hole - how_far };

	if (which >= COPY_AT)
		memcpy((void *)addresses[which], (const void *)a->state_at,
		       which == COPY_AT ? STATE_BYTES : how_far);
	return addresses[which];
}

static void change(const struct arrival *a, uptr offset, uptr width, uptr value)
{
	u8 *at = (u8 *)(offset < STATE_OFFSETS ? a->at + offset
					       : a->state_at + offset - STATE_OFFSETS);
	uptr address;

	if (width) {
		memcpy(at, &value, width);
	} else {
		address = address_of(a, value & 15, value >> 4);
		memcpy(at, &address, sizeof(address));
	}
}

static uptr good_stack(void)
{
	return (uptr)(user_stack + sizeof(user_stack) - USER_STACK_MARGIN);
}

static void look_around(void)
{
	struct stack other = { (uptr)alternate, 0, ALT_BYTES };

	sys4(NR_rt_sigprocmask, 0, NULL, &mask_inside, 8);
	sys2(NR_sigaltstack, NULL, &stack_inside);
	set_inside = sys2(NR_sigaltstack, &other, NULL);
	if (arguments[ACTION_MASK] >> (SIGBUS - 1) & 1)
		sys2(NR_kill, sys0(NR_getpid), SIGBUS);
	if (before[7] == good_stack())
		memcpy(around, (const void *)((uptr)before[7] - BELOW), sizeof(around));
}

static void report_all(u32 number)
{
	uptr landing = landing_of((u32)arguments[ENTRY]);
	uptr alternate_at = (uptr)alternate;

	keep_reports();
	report_numbered(number, "arrived", (const void *)&arrived, sizeof(arrived));
	for (u32 i = 0; i < arrived; i++)
		report_arrival(number + i, &arrivals[i]);
	report_numbered(number, "before", before, sizeof(before));
	report_numbered(number, "after", after, sizeof(after));
	report_numbered(number, "landing", &landing, sizeof(landing));
	report_numbered(number, "fpu_before", &fpu_before, sizeof(fpu_before));
	report_numbered(number, "fpu_after", &fpu_after, sizeof(fpu_after));
	report_numbered(number, "around", around, sizeof(around));
	report_numbered(number, "mask_inside", &mask_inside, sizeof(mask_inside));
	report_numbered(number, "mask_after", &mask_after, sizeof(mask_after));
	report_numbered(number, "stack_inside", &stack_inside, sizeof(stack_inside));
	report_numbered(number, "stack_after", &stack_after, sizeof(stack_after));
	report_numbered(number, "set_inside", &set_inside, sizeof(set_inside));
	report_numbered(number, "handler_after", &handler_after, sizeof(handler_after));
	report_numbered(number, "alternate", &alternate_at, sizeof(alternate_at));
	report_numbered(number, "seen_ss", &seen_ss, sizeof(seen_ss));
	write_reports();
}

static void lead_back(struct arrival *a)
{
	*(uptr *)(a->at + FRAME_IP) = landing_of((u32)arguments[ENTRY]);
	*(uptr *)(a->at + FRAME_FLAGS) = 0x202;
#ifdef __x86_64__
	*(u16 *)(a->at + FRAME_CS) = (u16)first_registers[REG_CS];
	*(u16 *)(a->at + FRAME_SS) = (u16)first_registers[REG_SS];
#else
	*(u32 *)(a->at + FRAME_CS) = (u32)first_registers[REG_CS];
	*(u32 *)(a->at + FRAME_SS) = (u32)first_registers[REG_SS];
	*(u32 *)(a->at + FRAME_ES) = (u32)first_registers[REG_ES];
	*(u32 *)(a->at + FRAME_DS) = (u32)first_registers[REG_DS];
#endif
}

static void handle(struct arrival *a)
{
	if (a != arrivals) {
		lead_back(a);
		return;
	}
	look_around();
	for (const uptr *c = arguments + CHANGES; c + 2 <= arguments + arguments[0]; c += 3)
		change(a, c[0], c[1], c[2]);
	load_fpu(&fpu_other);
}

static void make_hole(void)
{
	hole = (u8 *)sys6(NR_mmap, NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) +
	       PAGE_BYTES;
	sys2(NR_munmap, hole, PAGE_BYTES);
}

static void prepare(void)
{
	const uptr bytes = arguments[ALTERNATE_BYTES];
	struct stack stack = { (uptr)alternate, (int)(bytes & AUTODISARM), bytes & ~AUTODISARM };
	struct descriptor descriptor = { 0, 0, 0xfffff, (u32)arguments[DESCRIPTOR] };
	struct action action = { 0, 0, 0, 0 };
	const u64 blocked = arguments[BLOCKED] | (u64)arguments[BLOCKED_HIGH] << 32;
	static const int others[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };

	sys2(NR_sigaltstack, &stack, NULL);
	for (u32 i = 0; i < ARRAY_LENGTH(others); i++)
		catch_signal(others[i], SA_SIGINFO | SA_RESTORER | SA_ONSTACK);
	catch_signal((int)arguments[SIGNAL], arguments[ACTION_FLAGS]);
	sys4(NR_rt_sigaction, arguments[SIGNAL], NULL, &action, 8);
	action.mask = arguments[ACTION_MASK];
	sys4(NR_rt_sigaction, arguments[SIGNAL], &action, NULL, 8);
	sys4(NR_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, 8);
	if (arguments[DESCRIPTOR] && sys3(NR_modify_ldt, 1, &descriptor, sizeof(descriptor)))
		die(103);
	memset(user_stack, 0x5a, sizeof(user_stack));
	make_fpu(&fpu_before, 0x31);
	make_fpu(&fpu_other, 0x67);
}

static void send(u32 entry)
{
	long id = sys0(NR_getpid);
	long signal = (long)arguments[SIGNAL];

	if (arguments[IDS] == 2)
		load_call(entry, (long)arguments[CALL], id, id, signal, SPARE(4), SPARE(5),
			  SPARE(6));
	else
		load_call(entry, (long)arguments[CALL], id, signal, SPARE(3), SPARE(4), SPARE(5),
			  SPARE(6));
	before[REG_FLAGS] = arguments[CPU_FLAGS];
	before[7] =
		arguments[STACK] < MOST_SHIFT ? good_stack() - arguments[STACK] : arguments[STACK];
	load_fpu(&fpu_before);
	go_through(entry);
	save_fpu(&fpu_after);
}

static void run(u32 number)
{
	struct action action = { 0, 0, 0, 0 };

	arrived = 0;
	prepare();
	send((u32)arguments[ENTRY]);
	sys4(NR_rt_sigprocmask, 0, NULL, &mask_after, 8);
	sys2(NR_sigaltstack, NULL, &stack_after);
	sys4(NR_rt_sigaction, arguments[SIGNAL], NULL, &action, 8);
	handler_after = action.handler;
	report_all(number);
}

_Noreturn void c_main(const uptr *stack)
{
	static uptr numbers[MOST_ARGUMENTS];
	u32 number = 0;

	if (stack[0] > MOST_ARGUMENTS)
		die(101);
	for (u32 i = 1; i < stack[0]; i++)
		numbers[i - 1] = (uptr)argument(stack, i);
	prepare_to_enter(stack);
	make_hole();
	in_handler = handle;
	report("vdso", auxiliary(stack, AT_SYSINFO_EHDR));
	report("has_avx", (u64)has_avx());
	for (arguments = numbers; arguments < numbers + stack[0] - 1;
	     arguments += arguments[0] + 1) {
		run(number);
		number += 2;
	}
	die(0);
}
