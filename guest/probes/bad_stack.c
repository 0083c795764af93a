// SPDX-License-Identifier: Apache-2.0
/*
 * bad_stack: executes the fast call of a 32-bit program with a stack pointer from which the kernel
 * is to read the sixth argument, and catches the fault that follows behind it.
 *
 * Arguments: 0 for sysenter, 1 for syscall; the stack pointer. All regions of the landscape are
 *         mapped.
 * Asks:   what does the call answer, and was it made? where does it come back to, with which
 *         registers? what faults?
 * Known:  CVE-2010-3081 (an oops instead of the error).
 * Source: arch/x86/entry/common.c do_fast_syscall_32, vdso32/system_call.S (6.1);
 *         tools/testing/selftests/x86/syscall_arg_fault.c (6.1)
 */
#include "facts.h"
#include "numbers.h"
#include "report.h"
#include "vdso.h"

_Noreturn void c_main(const uptr *stack);

#ifdef __x86_64__
_Noreturn void c_main(const uptr *stack)
{
	(void)stack;
	die(1);
}
#else
#define SIGILL 4
#define SIGBUS 7
#define SIGSEGV 11
#define SA_SIGINFO 0x4
#define SA_RESTORER 0x04000000
#define SA_ONSTACK 0x08000000
#define NR_umask 60
#define OLD_UMASK 022

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

/* arch/x86/include/uapi/asm/{ucontext,sigcontext}.h (6.1) */
struct context {
	uptr flags, link;
	struct stack stack;
	u32 gs, fs, es, ds, di, si, bp, sp, bx, dx, cx, ax, trap, error, ip, cs, eflags;
	u32 sp_at_signal, ss, fpstate, mask, cr2;
};

void call_fast(u32 by_syscall, u32 sp);
extern u8 restorer[];

static u8 handler_stack[16384] __attribute__((aligned(64)));
static uptr vdso;

/*
 * The call is umask. Registers hold their number in every digit. ecx travels in ebp for syscall,
 * which needs esp itself; sysenter needs the stack in ebp.
 */
__asm__(".text\n"
	".globl call_fast, restorer\n"
	"call_fast:\n"
	"	movl	4(%esp), %edx\n"
	"	movl	8(%esp), %ebp\n"
	"	movl	$60, %eax\n"
	"	movl	$0x33333333, %ebx\n"
	"	movl	$0x11111111, %ecx\n"
	"	movl	$0x66666666, %esi\n"
	"	movl	$0x77777777, %edi\n"
	"	testl	%edx, %edx\n"
	"	movl	$0x22222222, %edx\n"
	"	jnz	1f\n"
	"	sysenter\n"
	"1:	movl	%ebp, %esp\n"
	"	movl	%ecx, %ebp\n"
	"	syscall\n"
	"	hlt\n"
	"restorer:\n"
	"	movl	$173, %eax\n"
	"	int	$0x80\n");

static void handle(int signal, const u32 *info, const struct context *c)
{
	int in_vdso = c->ip - vdso < 2 * PAGE_BYTES;

	report("signal", (u32)signal);
	report("address", info[3]);
	report("trap", c->trap);
	report("error", c->error);
	report("in_vdso", (u64)in_vdso);
	report("call_there", in_vdso ? *(const u16 *)(c->ip - 2) : 0);
	report("code_there", in_vdso ? *(const u32 *)c->ip : 0);
	report("eax", c->ax);
	report("ebx", c->bx);
	report("ecx", c->cx);
	report("edx", c->dx);
	report("esi", c->si);
	report("edi", c->di);
	report("ebp", c->bp);
	report("esp", c->sp);
	report("umask", (u64)sys1(NR_umask, 0));
	die(0);
}

static const struct stack alternative = { handler_stack, 0, sizeof(handler_stack) };
static const struct action action = { (void *)handle, SA_SIGINFO | SA_RESTORER | SA_ONSTACK,
				      restorer, 0 };

#define MAP(name, start, bytes, protection) \
	sys6(NR_mmap, start, bytes, protection, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);

_Noreturn void c_main(const uptr *stack)
{
	REGIONS(MAP)
	vdso = auxiliary(stack, AT_SYSINFO_EHDR);
	sys2(NR_sigaltstack, &alternative, NULL);
	sys4(NR_rt_sigaction, SIGSEGV, &action, NULL, 8);
	sys4(NR_rt_sigaction, SIGBUS, &action, NULL, 8);
	sys4(NR_rt_sigaction, SIGILL, &action, NULL, 8);
	sys1(NR_umask, OLD_UMASK);
	call_fast((u32)argument(stack, 1), (u32)argument(stack, 2));
	die(2);
}
#endif
