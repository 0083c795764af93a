// SPDX-License-Identifier: Apache-2.0
/*
 * The C side of the signal handler that probes share.
 * Source: arch/x86/include/asm/sigframe.h, arch/x86/include/uapi/asm/sigcontext.h (6.1);
 *         Intel SDM volume 1, chapter 13 (XSAVE)
 */
#include "catch.h"
#include "numbers.h"
#include "report.h"

#define OSXSAVE (1u << 27)
#define X87_SSE_AVX 7
#define XSTATE_BV 512
#define MXCSR 24

struct arrival arrivals[ARRIVALS];
volatile u32 arrived;
void (*in_handler)(struct arrival *arrival);

extern u64 at_arrival[REGISTER_SLOTS];
void take_signal(void);
void on_signal(uptr stack_pointer);

#ifdef __x86_64__
#define STATE_POINTER 232
#else
/* Behind the general registers of the frame, which has a siginfo_t before them or has not. */
#define STATE_POINTER 240
#define STATE_POINTER_OLD 84

static u32 with_info; /* by signal: was SA_SIGINFO asked for? */
#endif

static uptr state_pointer(uptr frame)
{
#ifndef __x86_64__
	if (!(with_info >> *(const u32 *)(frame + 4) & 1))
		return *(const uptr *)(frame + STATE_POINTER_OLD);
#endif
	return *(const uptr *)(frame + STATE_POINTER);
}

void on_signal(uptr stack_pointer)
{
	u32 place = arrived++;
	struct arrival *a = &arrivals[place];

	if (place >= ARRAY_LENGTH(arrivals))
		return;
	save_fpu(&a->fpu);
	memcpy(a->registers, at_arrival, sizeof(a->registers));
	memcpy(a->frame, (const void *)stack_pointer, sizeof(a->frame));
	a->at = stack_pointer;
	a->state_at = state_pointer(stack_pointer);
	if (a->state_at)
		memcpy(a->state, (const void *)a->state_at, sizeof(a->state));
	if (in_handler)
		in_handler(a);
}

long catch_signal(int signal, uptr flags)
{
	struct action action = { (uptr)take_signal, flags, 0, 0 };

	if (flags & SA_RESTORER)
		action.restorer = (uptr)restore_from_signal;
#ifndef __x86_64__
	with_info &= ~(1u << signal);
	if (flags & SA_SIGINFO)
		with_info |= 1u << signal;
	else if (flags & SA_RESTORER)
		action.restorer = (uptr)restore_from_old_signal;
#endif
	return sys4(NR_rt_sigaction, signal, &action, NULL, 8);
}

int has_avx(void)
{
	u32 a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & OSXSAVE))
		return 0;
	__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return (a & X87_SSE_AVX) == X87_SSE_AVX;
}

void save_fpu(struct fpu *fpu)
{
	if (has_avx())
		__asm__ volatile("xsave %0" : "+m"(*fpu) : "a"(X87_SSE_AVX), "d"(0));
	else
		__asm__ volatile("fxsave %0" : "+m"(*fpu));
}

void load_fpu(const struct fpu *fpu)
{
	if (has_avx())
		__asm__ volatile("xrstor %0" ::"m"(*fpu), "a"(X87_SSE_AVX), "d"(0));
	else
		__asm__ volatile("fxrstor %0" ::"m"(*fpu));
}

/* Control words with every exception masked, all eight x87 registers in use, no flag raised. */
void make_fpu(struct fpu *fpu, u8 seed)
{
	memset(fpu, 0, sizeof(*fpu));
	for (u32 i = 32; i < sizeof(fpu->bytes); i++)
		if (i < 416 || i >= XSTATE_BV + 64)
			fpu->bytes[i] = (u8)(seed + i * 7 + i / 256);
	for (u32 i = 32; i < 160; i++)
		if (i % 16 >= 10)
			fpu->bytes[i] = 0;
	fpu->bytes[0] = 0x7f;
	fpu->bytes[1] = (u8)(seed & 0xc);
	fpu->bytes[3] = (u8)(seed & 0x38);
	fpu->bytes[4] = 0xff;
	fpu->bytes[MXCSR] = 0x80;
	fpu->bytes[MXCSR + 1] = (u8)(0x1f | (seed & 0x60));
	fpu->bytes[XSTATE_BV] = X87_SSE_AVX;
}

void report_numbered(u32 number, const char *name, const void *from, uptr bytes)
{
	char full[32], *at = full;

	if (number >= 10)
		*at++ = (char)('0' + number / 10);
	*at++ = (char)('0' + number % 10);
	*at++ = '.';
	memcpy(at, name, strlen(name) + 1);
	report_memory(full, from, bytes);
}

void report_frame(u32 number, const struct arrival *a)
{
	report_numbered(number, "registers", a->registers, sizeof(a->registers));
	report_numbered(number, "at", &a->at, sizeof(a->at));
	report_numbered(number, "frame", a->frame, sizeof(a->frame));
}

void report_arrival(u32 number, const struct arrival *a)
{
	report_frame(number, a);
	report_numbered(number, "fpu", &a->fpu, sizeof(a->fpu));
	report_numbered(number, "state_at", &a->state_at, sizeof(a->state_at));
	report_numbered(number, "state", a->state, sizeof(a->state));
}
