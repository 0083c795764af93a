// SPDX-License-Identifier: Apache-2.0
/*
 * deliver: sends itself a signal by one call through one entry path, with every register set; the
 * handler keeps what it finds, changes the frame as it is told to, and returns.
 *
 * Arguments: entry path, number of the call that sends, how often it takes our id before the
 * signal, signal, flags of the action, flags register, stack pointer (0: a good one), bytes of the
 * alternate stack, flags of a modify_ldt descriptor (0: none), 1 for a handler that leaves x87, SSE
 * and AVX alone, the action's mask, the mask of what is blocked before, then three numbers for every
 * change of the frame: offset, width in bytes, value. Offsets from 0x8000 on count from where the
 * frame says that the x87 state is; width 0 puts an address of ours: value 0 that of `reset_ss`, 1
 * the last 64 bytes before a hole, 2 the hole.
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
#define LEAVES_FPU 10
#define ACTION_MASK 11
#define BLOCKED 12
#define CHANGES 13

#define ALT_BYTES 65536
#define USER_STACK_MARGIN 8192
#define SIG_SETMASK 2
#define SPARE(n) ((long)(0x5aced000u + 0x11u * (n))) /* what arguments hold that no call takes */
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
static struct stack stack_inside;
static long set_inside;
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

static void change(struct arrival *a, uptr offset, uptr width, uptr value)
{
	u8 *at = (u8 *)(offset < STATE_OFFSETS ? a->at + offset
					       : a->state_at + offset - STATE_OFFSETS);
	const uptr addresses[] = { (uptr)reset_ss, (uptr)hole - 64, (uptr)hole };

	if (width)
		memcpy(at, &value, width);
	else
		memcpy(at, &addresses[value], sizeof(uptr));
}

static void look_around(void)
{
	struct stack other = { (uptr)alternate, 0, ALT_BYTES };

	sys4(NR_rt_sigprocmask, 0, NULL, &mask_inside, 8);
	sys2(NR_sigaltstack, NULL, &stack_inside);
	set_inside = sys2(NR_sigaltstack, &other, NULL);
	if (before[7] == (uptr)(user_stack + sizeof(user_stack) - USER_STACK_MARGIN))
		memcpy(around, (const void *)((uptr)before[7] - BELOW), sizeof(around));
}

static void report_all(void)
{
	report_memory("before", before, sizeof(before));
	report_memory("fpu_before", &fpu_before, sizeof(fpu_before));
	report("has_avx", (u64)has_avx());
	report("arrived", arrived);
	for (u32 i = 0; i < arrived && i < ARRAY_LENGTH(arrivals); i++)
		report_arrival(i, &arrivals[i]);
	report_memory("around", around, sizeof(around));
	report("mask_inside", mask_inside);
	report_memory("stack_inside", &stack_inside, sizeof(stack_inside));
	report("set_inside", (u64)set_inside);
	report("alternate", (uptr)alternate);
	report("hole", (uptr)hole);
	report("seen_ss", seen_ss);
}

static void handle(struct arrival *a)
{
	if (a != arrivals) {
		report_all();
		report("returned", 0);
		die(0);
	}
	look_around();
	for (const uptr *c = arguments + CHANGES; c + 2 <= arguments + arguments[0]; c += 3)
		change(a, c[0], c[1], c[2]);
	if (!arguments[LEAVES_FPU])
		load_fpu(&fpu_other);
}

static const uptr *read_arguments(const uptr *stack)
{
	static uptr numbers[64];

	numbers[0] = stack[0] - 1;
	for (u32 i = 1; i < ARRAY_LENGTH(numbers); i++)
		numbers[i] = (uptr)argument(stack, i);
	return numbers;
}

static void prepare(void)
{
	struct stack stack = { (uptr)alternate, 0, arguments[ALTERNATE_BYTES] };
	struct descriptor descriptor = { 0, 0, 0xfffff, (u32)arguments[DESCRIPTOR] };
	struct action action = { 0, 0, 0, 0 };
	const u64 blocked = arguments[BLOCKED];
	static const int others[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };

	hole = (u8 *)sys6(NR_mmap, NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) +
	       PAGE_BYTES;
	sys2(NR_munmap, hole, PAGE_BYTES);
	in_handler = handle;
	sys2(NR_sigaltstack, &stack, NULL);
	for (u32 i = 0; i < ARRAY_LENGTH(others); i++)
		catch_signal(others[i], SA_SIGINFO | SA_RESTORER | SA_ONSTACK);
	catch_signal((int)arguments[SIGNAL], arguments[ACTION_FLAGS]);
	sys4(NR_rt_sigaction, arguments[SIGNAL], NULL, &action, 8);
	action.mask = arguments[ACTION_MASK];
	sys4(NR_rt_sigaction, arguments[SIGNAL], &action, NULL, 8);
	sys4(NR_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, 8);
	if (arguments[DESCRIPTOR])
		report("ldt", (u64)sys3(NR_modify_ldt, 1, &descriptor, sizeof(descriptor)));
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
	before[7] = arguments[STACK] ? arguments[STACK]
				     : (uptr)(user_stack + sizeof(user_stack) - USER_STACK_MARGIN);
	load_fpu(&fpu_before);
	go_through(entry);
	save_fpu(&fpu_after);
}

_Noreturn void c_main(const uptr *stack)
{
	struct action action = { 0, 0, 0, 0 };

	report("vdso", auxiliary(stack, AT_SYSINFO_EHDR));
	prepare_to_enter(stack);
	arguments = read_arguments(stack);
	prepare();
	send((u32)arguments[ENTRY]);
	sys4(NR_rt_sigprocmask, 0, NULL, &mask_after, 8);
	sys4(NR_rt_sigaction, arguments[SIGNAL], NULL, &action, 8);
	report_all();
	report("returned", 1);
	report("landing", landing_of((u32)arguments[ENTRY]));
	report_memory("after", after, sizeof(after));
	report_memory("fpu_after", &fpu_after, sizeof(fpu_after));
	report("mask_after", mask_after);
	report("handler_after", action.handler);
	die(0);
}
