// SPDX-License-Identifier: Apache-2.0
/*
 * cost: makes one call many times in a row between two readings of the time stamp counter, batch
 * after batch; before that the same with no instruction between loading and storing registers.
 *
 * Takes:  the entry path, preparation, calls a batch, batches, the number, six arguments; to call a
 *         function is to call the vDSO's clock_gettime. Memory lies at 0x24000000, file 10 holds
 *         as much.
 * Asks:   how long is each batch, and what did the last call return?
 * Known:  under QEMU's -icount the counter counts instructions.
 * Source: man 2 ptrace, PTRACE_SYSCALL; include/uapi/linux/{seccomp,filter}.h (6.1);
 *         Intel SDM volume 2, RDTSC: CPUID keeps earlier and later instructions apart
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"
#include "vdso.h"

#define MEMORY_AT 0x24000000ul
#define MEMORY_BYTES (1u << 17)
#define FILE_FD 10
#define MOST_BATCHES 500u
#define WARMING 3u

#define SIGTRAP 5
#define SIGSTOP 19
#define PTRACE_TRACEME 0
#define PTRACE_SYSCALL 24
#define PR_SET_SECCOMP 22
#define PR_SET_NO_NEW_PRIVS 38
#define SECCOMP_MODE_FILTER 2
#define BPF_LOAD 0x20
#define BPF_JUMP_EQUAL 0x15
#define BPF_RETURN 0x06
#define RET_ALLOW 0x7fff0000u
#define RET_ERRNO_1 0x50001u
#define ARGUMENT_0 16u
#define NEVER 0x5a5a5a5au
#define SCHED_FIFO 1

#ifdef __x86_64__
#define NR_ptrace 101
#define NR_ftruncate 77
#define NR_memfd_create 319
#define NR_sched_setaffinity 203
#define NR_getcpu 309
#define NR_clock_gettime 228
#define NR_sched_setscheduler 144
#else
#define NR_ptrace 26
#define NR_ftruncate 93
#define NR_memfd_create 356
#define NR_sched_setaffinity 241
#define NR_getcpu 318
#define NR_clock_gettime 265
#define NR_sched_setscheduler 156
#endif

/*
 * A clock adds what has gone by since the last tick, and takes more to be read where that fills a
 * second: in the tick before a second is full, and until the first tick after it.
 */
#define TICK_NS 10000000l
#define SECOND_NS 1000000000l
#define VDSO_CLOCK "__vdso_clock_gettime", "LINUX_2.6"

enum preparation { PLAIN, TRACED, FILTERED, FILTERED_BY_ARGUMENT, TRACED_BY_TURNS };

#define ENTRY_DECLARE(name) void enter_##name(void);
#define ENTRY_ADDRESS(name) enter_##name,
ENTRY_PATHS(ENTRY_DECLARE)
static void (*const entries[])(void) = { ENTRY_PATHS(ENTRY_ADDRESS) };

struct filter_step {
	u16 code;
	u8 jump_true, jump_false;
	u32 k;
};

extern uptr code_address;
void enter_execute(void);
_Noreturn void c_main(const uptr *stack);

static u64 ticks[MOST_BATCHES];

static u64 read_counter(void)
{
	u32 low, high, leaf = 0;

	__asm__ volatile("cpuid" : "+a"(leaf) : : "ebx", "ecx", "edx", "memory");
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static void measure(const char *name, void (*go)(void), u32 calls, u32 batches)
{
	for (u32 batch = 0; batch < batches + WARMING; batch++) {
		u64 from = read_counter();

		for (u32 call = 0; call < calls; call++)
			go();
		from = read_counter() - from;
		if (batch >= WARMING)
			ticks[batch - WARMING] = from;
	}
	report_memory(name, ticks, batches * sizeof(ticks[0]));
}

static void filter(int by_argument)
{
	static const struct filter_step steps[] = {
		{ BPF_LOAD, 0, 0, ARGUMENT_0 },
		{ BPF_JUMP_EQUAL, 0, 1, NEVER },
		{ BPF_RETURN, 0, 0, RET_ERRNO_1 },
		{ BPF_RETURN, 0, 0, RET_ALLOW },
	};
	const struct {
		u16 length;
		const struct filter_step *steps;
	} program = { by_argument ? 4 : 1, by_argument ? steps : steps + 3 };

	sys5(NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (sys3(NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		die(2);
}

/* The signal that a stop is to end with: none where tracing itself has caused the stop. */
static u32 signal_of(u32 status)
{
	u32 signal = status >> 8 & 0xff;

	return signal == SIGTRAP || signal == SIGSTOP ? 0 : signal;
}

/* Go on as a child that stops at every system call; the parent lets it go on each time. */
static void be_traced(void)
{
	long pid = sys0(NR_fork);
	u32 status = 0;

	if (pid == 0) {
		sys4(NR_ptrace, PTRACE_TRACEME, 0, 0, 0);
		sys2(NR_kill, sys0(NR_getpid), SIGSTOP);
		return;
	}
	while (sys4(NR_wait4, pid, &status, 0, 0) == pid && (status & 0xff) == 0x7f)
		sys4(NR_ptrace, PTRACE_SYSCALL, pid, 0, signal_of(status));
	die((int)(status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff));
}

/* What a fair scheduler calculates at a switch depends on what else was going on. */
static void take_turns(void)
{
	const u32 priority = 1;

	if (sys3(NR_sched_setscheduler, 0, SCHED_FIFO, &priority))
		die(2);
}

static void prepare(u64 preparation)
{
	if (preparation == TRACED_BY_TURNS)
		take_turns();
	if (preparation == TRACED || preparation == TRACED_BY_TURNS)
		be_traced();
	if (preparation == FILTERED || preparation == FILTERED_BY_ARGUMENT)
		filter(preparation == FILTERED_BY_ARGUMENT);
}

static void await_mid_second(void)
{
	long now[2] = { 0, 0 };

	do
		sys2(NR_clock_gettime, 0, now);
	while (now[1] < TICK_NS || now[1] > SECOND_NS - TICK_NS);
}

/* On the processor where it is, with memory and a file that are there already. */
static void settle(void)
{
	u32 cpu = 0;
	uptr set[32] = { 0 };

	sys3(NR_getcpu, &cpu, NULL, NULL);
	set[cpu / (8 * sizeof(uptr)) % ARRAY_LENGTH(set)] = 1ul << cpu % (8 * sizeof(uptr));
	sys3(NR_sched_setaffinity, 0, sizeof(set), set);
	sys6(NR_mmap, MEMORY_AT, MEMORY_BYTES, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
	memset((void *)MEMORY_AT, 1, MEMORY_BYTES);
	sys3(NR_dup3, sys2(NR_memfd_create, "cost", 0), FILE_FD, 0);
	sys2(NR_ftruncate, FILE_FD, MEMORY_BYTES);
	write_all(FILE_FD, (void *)MEMORY_AT, MEMORY_BYTES);
}

_Noreturn void c_main(const uptr *stack)
{
	u32 entry = (u32)argument(stack, 1), calls = (u32)argument(stack, 3);
	u32 batches = (u32)argument(stack, 4);
	long number = (long)argument(stack, 5), with[6];

	for (u32 place = 0; place < ARRAY_LENGTH(with); place++)
		with[place] = (long)argument(stack, 6 + place);
	if (batches > MOST_BATCHES || entry >= ARRAY_LENGTH(entries))
		die(2);
	prepare_to_enter(stack);
	settle();
	prepare(argument(stack, 2));
	if (entry == ARRAY_LENGTH(entries) - 1)
		number = (long)find_in_vdso(auxiliary(stack, AT_SYSINFO_EHDR), VDSO_CLOCK);
	load_call(entry, number, with[0], with[1], with[2], with[3], with[4], with[5]);
	code_address = (uptr)landed_execute;
	await_mid_second();
	measure("frame", enter_execute, calls, batches);
	if (number || entry != ARRAY_LENGTH(entries) - 1)
		measure("call", entries[entry], calls, batches);
	report("result", after[0]);
	die(0);
}
