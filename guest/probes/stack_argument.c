// SPDX-License-Identifier: Apache-2.0
/*
 * stack_argument: a fast call whose sixth argument lies on a stack that cannot be read.
 *
 * Takes:  the entry path, ENTRY_SYSENTER or ENTRY_SYSCALL32; the stack's address.
 * Asks:   what is in the registers when the landing pad then takes what it wants from that stack,
 *         and faults? was the call made all the same?
 * Known:  CVE-2010-3081 (an oops instead of the error).
 * Source: arch/x86/entry/common.c __do_fast_syscall_32 (6.1);
 *         tools/testing/selftests/x86/syscall_arg_fault.c (6.1)
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define NR_umask 60
#define NEW_UMASK 0123
#define OLD_UMASK 022
#define SIGILL 4
#define SIGBUS 7
#define SIGSEGV 11
#define SA_SIGINFO 0x4
#define SA_ONSTACK 0x08000000

_Noreturn void c_main(const uptr *stack);

#ifdef __i386__
/* Words of the frame's ucontext; arch/x86/include/uapi/asm/{ucontext,sigcontext}.h (6.1). */
enum { WORD_DI = 9, WORD_SI, WORD_BP, WORD_SP, WORD_BX, WORD_DX, WORD_CX, WORD_AX, WORD_IP = 19 };

static u8 signal_stack[16384] __attribute__((aligned(16)));

struct stack {
	void *base;
	int flags;
	uptr bytes;
};

struct action {
	void *handler;
	uptr flags;
	void *restorer;
	u64 mask;
};

_Noreturn static void handle(int signal, const u32 *info, const uptr *context)
{
	const u8 *ip = (const u8 *)context[WORD_IP];

	report("signal", (u64)signal);
	report("address", info[3]);
	report("eax", context[WORD_AX]);
	report("ebx", context[WORD_BX]);
	report("ecx", context[WORD_CX]);
	report("edx", context[WORD_DX]);
	report("esi", context[WORD_SI]);
	report("edi", context[WORD_DI]);
	report("ebp", context[WORD_BP]);
	report("esp", context[WORD_SP]);
	report("instructions", signal == SIGILL ? 0 : *(const u32 *)(ip - 2));
	report("umask", (u64)sys1(NR_umask, 0));
	die(0);
}

_Noreturn static void call_by_sysenter(uptr bad)
{
	__asm__ volatile("movl %%ecx, %%ebp\n\tmovl $0xc0de03, %%ecx\n\tsysenter"
			 :
			 : "a"(NR_umask), "b"(NEW_UMASK), "c"(bad), "d"(0xc0de04), "S"(0xc0de05),
			   "D"(0xc0de06));
	__builtin_unreachable();
}

_Noreturn static void call_by_syscall(uptr bad)
{
	__asm__ volatile("movl %%ecx, %%esp\n\tmovl $0xc0de03, %%ebp\n\tsyscall"
			 :
			 : "a"(NR_umask), "b"(NEW_UMASK), "c"(bad), "d"(0xc0de04), "S"(0xc0de05),
			   "D"(0xc0de06));
	__builtin_unreachable();
}

_Noreturn void c_main(const uptr *stack)
{
	const struct stack other = { signal_stack, 0, sizeof(signal_stack) };
	const struct action action = { (void *)handle, SA_SIGINFO | SA_ONSTACK, NULL, 0 };

	sys2(NR_sigaltstack, &other, NULL);
	sys4(NR_rt_sigaction, SIGSEGV, &action, NULL, 8);
	sys4(NR_rt_sigaction, SIGBUS, &action, NULL, 8);
	sys4(NR_rt_sigaction, SIGILL, &action, NULL, 8);
	sys1(NR_umask, OLD_UMASK);
	if (argument(stack, 1) == ENTRY_SYSENTER)
		call_by_sysenter((uptr)argument(stack, 2));
	call_by_syscall((uptr)argument(stack, 2));
}
#else
_Noreturn void c_main(const uptr *stack)
{
	(void)stack;
	die(1);
}
#endif
