// SPDX-License-Identifier: Apache-2.0
/*
 * after_exec: fills every register that it can with something, and executes itself, or itself of
 * the other ABI.
 *
 * Takes:  1 when it is what has been executed; else 0, and the bits of the ABI to become.
 * Asks:   what is in each register at the new program's first instruction? has anything of the old
 *         one come through: a flag, a segment, a base, a vector register, a rounding mode, a
 *         descriptor of the thread's own, an alternate stack, a handler?
 * Known:  nothing.
 * Source: arch/x86/include/asm/elf.h ELF_PLAT_INIT; arch/x86/kernel/process.c flush_thread,
 *         process_{32,64}.c start_thread; fs/exec.c begin_new_exec (6.1);
 *         tools/testing/selftests/x86/check_initial_reg_state.c (6.1)
 */
#include "catch.h"
#include "enter.h"
#include "numbers.h"
#include "report.h"
#include "vectors.h"

#define FLAGS 0x244ed7 /* ID, AC, NT, DF and what arithmetic sets */
#define NR_set_thread_area_i386 243
#define OWN_DESCRIPTORS 3
#define ALTERNATE_BYTES 65536
#define IGNORE 1
#define NEITHER 2

#ifdef __x86_64__
#define ENTRY ENTRY_SYSCALL
#define NR_arch_prctl 158
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#else
#define ENTRY ENTRY_INT80
#endif

static u8 vector[VECTOR_BYTES] __attribute__((aligned(16)));
static const char *const names[] = {
#ifdef __x86_64__
	"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
	"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
#else
	"eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp",
#endif
};

_Noreturn void c_main(const uptr *stack);

/* Take a descriptor of the thread's own: 0 with its selector, or -ESRCH when none is free. */
static int take_descriptor(u16 *selector)
{
	static u32 description[4];
	int error;

	description[0] = 0xffffffff;
	description[2] = 0xfffff;
	description[3] = 0x51; /* 32 bits, counted in pages, usable */
	__asm__ volatile("int $0x80"
			 : "=a"(error)
			 : "a"(NR_set_thread_area_i386), "b"(description)
			 : "memory");
	*selector = (u16)(description[0] << 3 | 3);
	return error;
}

static void fill_vectors(void)
{
	__asm__ volatile(FXSAVE : "=m"(vector));
	memset(vector + X87_REGISTERS, 0xa5, VECTOR_END - X87_REGISTERS);
	vector[CONTROL_WORD] = 0x3f; /* which hides other exceptions than at the start */
	vector[CONTROL_WORD + 1] = 0x0f; /* another precision and rounding */
	vector[TAG_WORD] = 0xff; /* no register is empty */
	vector[MXCSR + 1] = 0x7f; /* another rounding */
	__asm__ volatile(FXRSTOR ::"m"(vector));
}

static void fill_segments(void)
{
	u16 selector = 0, plain;

	for (u32 i = 0; i < OWN_DESCRIPTORS; i++)
		take_descriptor(&selector);
	__asm__ volatile("movw %0, %%ds; movw %0, %%es; movw %0, %%gs" ::"r"(selector));
	/* One that is there afterwards, too, and is not made null when it is loaded. */
	__asm__ volatile("movw %%ss, %0; movw %0, %%fs" : "=r"(plain));
#ifdef __x86_64__
	sys2(NR_arch_prctl, ARCH_SET_FS, vector);
	sys2(NR_arch_prctl, ARCH_SET_GS, vector);
	__asm__ volatile("movw %0, %%ds; movw %0, %%es" ::"r"(selector));
#endif
}

static void set_signals(void)
{
	const struct stack alternate = { (uptr)vector, 0, ALTERNATE_BYTES };
	const struct action handled = { (uptr)set_signals, 0, 0, 0 }, ignored = { IGNORE, 0, 0, 0 };

	sys2(NR_sigaltstack, &alternate, NULL);
	sys4(NR_rt_sigaction, SIGUSR1, &handled, NULL, 8);
	sys4(NR_rt_sigaction, SIGUSR2, &ignored, NULL, 8);
}

_Noreturn static void become(char *path, u64 bits)
{
	const char *const arguments[] = { path, "1", NULL };
	const char *abi = bits == 64 ? "x86_64" : "i386";
	char *end = path + strlen(path);

	while (end[-1] != '.')
		end--;
	memcpy(end, abi, strlen(abi) + 1);
	fill_vectors();
	fill_segments();
	set_signals();
	load_call(ENTRY, NR_execve, (long)path, (long)arguments, (long)(arguments + 2), 0, 0, 0);
	before[REG_FLAGS] = FLAGS;
	die((int)-go_through(ENTRY));
}

static void report_vectors(void)
{
	u32 x87 = 0, xmm = 0;

	for (u32 i = X87_REGISTERS; i < XMM_REGISTERS; i++)
		x87 += vector[i] != 0;
	for (u32 i = XMM_REGISTERS; i < VECTOR_END; i++)
		xmm += vector[i] != 0;
	report("fcw", *(u16 *)(void *)(vector + CONTROL_WORD));
	report("ftw", vector[TAG_WORD]);
	report("mxcsr", *(u32 *)(void *)(vector + MXCSR));
	report("x87 bytes", x87);
	report("xmm bytes", xmm);
}

static void report_signals(void)
{
	struct stack alternate = { 1, 1, 1 };
	struct action handled = { NEITHER, 0, 0, 0 }, ignored = handled;

	sys2(NR_sigaltstack, NULL, &alternate);
	sys4(NR_rt_sigaction, SIGUSR1, NULL, &handled, 8);
	sys4(NR_rt_sigaction, SIGUSR2, NULL, &ignored, 8);
	report("alternate stack", alternate.base);
	report("alternate stack's flags", (u32)alternate.flags);
	report("handler", handled.handler);
	report("ignored", ignored.handler);
}

static void report_bases(void)
{
#ifdef __x86_64__
	uptr fs = 1, gs = 1;

	sys2(NR_arch_prctl, ARCH_GET_FS, &fs);
	sys2(NR_arch_prctl, ARCH_GET_GS, &gs);
	report("fs base", fs);
	report("gs base", gs);
#endif
}

_Noreturn void c_main(const uptr *stack)
{
	u16 selector;

	/* Room for the longer of both names: the arguments behind this one are not needed again. */
	if (!argument(stack, 1))
		become((char *)stack[1], argument(stack, 2));
	__asm__ volatile(FXSAVE : "=m"(vector));
	for (u32 i = 0; i < ARRAY_LENGTH(names); i++)
		report(names[i], first_registers[i]);
	report("flags", first_registers[REG_FLAGS]);
	report("cs", first_registers[REG_CS]);
	report("ss", first_registers[REG_SS]);
	report("ds", first_registers[REG_DS]);
	report("es", first_registers[REG_ES]);
	report("fs", first_registers[REG_FS]);
	report("gs", first_registers[REG_GS]);
	report_bases();
	report_signals();
	report_vectors();
	report("no descriptor free", take_descriptor(&selector) != 0);
	die(0);
}
