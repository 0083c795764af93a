// SPDX-License-Identifier: Apache-2.0
/*
 * Signals during a call: a fault ends the call and is its answer, anything else is let pass.
 * The handler has a stack of its own, since a call's stack pointer may be anything.
 */
#include "executor.h"
#include "numbers.h"

#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGSEGV 11
#define SIGSYS 31

#define SA_SIGINFO 0x4
#define SA_RESTORER 0x04000000
#define SA_ONSTACK 0x08000000
#define SA_NODEFER 0x40000000

#define CLEAN_FLAGS 0x202
#define HANDLER_STACK_BYTES 65536

struct caught caught;
static u8 handler_stack[HANDLER_STACK_BYTES] __attribute__((aligned(64)));
static volatile int in_call;

struct action {
	void *handler;
	uptr flags;
	void *restorer;
	u64 mask;
};

struct stack {
	void *base;
	int flags;
	uptr bytes;
};

/* include/uapi/asm-generic/siginfo.h (6.1): the address follows three ints at pointer alignment. */
struct info {
	int signal;
	int error;
	int code;
	uptr address;
};

/* arch/x86/include/uapi/asm/{ucontext,sigcontext}.h (6.1). */
#ifdef __x86_64__
struct context {
	uptr flags, link;
	struct stack stack;
	u64 r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	u16 cs, gs, fs, ss;
	u64 error, trap, mask, cr2;
};

static void keep_registers(const struct context *c)
{
	const u64 general[] = { c->ax, c->bx, c->cx,  c->dx,  c->si,  c->di,  c->bp,  c->sp,
				c->r8, c->r9, c->r10, c->r11, c->r12, c->r13, c->r14, c->r15 };

	memcpy(after, general, sizeof(general));
	after[REG_CS] = c->cs;
	after[REG_SS] = c->ss;
	__asm__("movw %%ds, %0" : "=m"(after[REG_DS]));
	__asm__("movw %%es, %0" : "=m"(after[REG_ES]));
	after[REG_FS] = c->fs;
	after[REG_GS] = c->gs;
}
#else
struct context {
	uptr flags, link;
	struct stack stack;
	u32 gs, fs, es, ds, di, si, bp, sp, bx, dx, cx, ax, trap, error, ip, cs, eflags;
	u32 sp_at_signal, ss, fpstate, mask, cr2;
};

static void keep_registers(const struct context *c)
{
	const u64 general[] = { c->ax, c->bx, c->cx, c->dx, c->si, c->di, c->bp, c->sp };

	memcpy(after, general, sizeof(general));
	after[REG_CS] = (u16)c->cs;
	after[REG_SS] = (u16)c->ss;
	after[REG_DS] = (u16)c->ds;
	after[REG_ES] = (u16)c->es;
	after[REG_FS] = (u16)c->fs;
	after[REG_GS] = (u16)c->gs;
}
#endif

static int is_fault(int signal)
{
	switch (signal) {
	case SIGILL:
	case SIGTRAP:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
	case SIGSYS:
		return 1;
	default:
		return 0;
	}
}

static void end_call(const struct info *info, struct context *context)
{
	keep_registers(context);
	after[REG_FLAGS] = context->eflags;
	after[REG_IP] = context->ip;
	caught.signal = (u32)info->signal;
	caught.code = (u32)info->code;
	caught.address = info->address;
	caught.trap = context->trap;
	caught.error = context->error;
	context->ip = (uptr)leave_entry;
	context->eflags = CLEAN_FLAGS;
	context->cs = (u16)first_registers[REG_CS];
	context->ss = (u16)first_registers[REG_SS];
}

static void handle(int signal, const struct info *info, struct context *context)
{
	if (!is_fault(signal))
		return;
	if (context->ip == (uptr)guarded_copy_moves)
		context->ip = (uptr)guarded_copy_resumes;
	else if (in_call)
		end_call(info, context);
	else
		die(128 + signal);
}

void catch_signals(void)
{
	const struct stack stack = { handler_stack, 0, sizeof(handler_stack) };
	const struct action action = { (void *)handle,
				       SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER,
				       (void *)restore_from_signal, 0 };

	sys2(NR_sigaltstack, &stack, NULL);
	/* A child's end would interrupt calls if it were handled, and does not when it is not. */
	for (int signal = 1; signal <= 31; signal++)
		if (signal != SIGCHLD)
			sys4(NR_rt_sigaction, signal, &action, NULL, 8);
}

void call_through(void (*enter)(void))
{
	caught.signal = 0;
	in_call = 1;
	enter();
	in_call = 0;
}
