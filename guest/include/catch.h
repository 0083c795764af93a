/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals, for probes: a handler that keeps everything it was started with, the whole frame, and
 * the processor's x87, SSE and AVX state.
 */
#ifndef CATCH_H
#define CATCH_H

#include "facts.h"
#include "guest.h"

#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGCONT 18
#define SIGSTOP 19
#define SIGALRM 14
#define SIGSYS 31

#define SA_SIGINFO 0x4
#define SA_RESTORER 0x04000000
#define SA_ONSTACK 0x08000000
#define SA_NODEFER 0x40000000

/* Where a frame with siginfo_t has them, from the handler's stack pointer on. */
#ifdef __x86_64__
#define FRAME_IP 176
#define FRAME_FLAGS 184
#define FRAME_CS 192
#define FRAME_SS 198
#else
#define FRAME_IP 220
#define FRAME_FLAGS 228
#define FRAME_CS 224
#define FRAME_SS 236
#define FRAME_ES 172
#define FRAME_DS 176
#endif

#define FPU_BYTES 832 /* XSAVE's legacy region, header, and upper halves of the AVX registers */
#define FRAME_BYTES 768
#define STATE_BYTES 1024
#define ARRIVALS 3

struct fpu {
	u8 bytes[FPU_BYTES];
} __attribute__((aligned(64)));

/* What rt_sigaction and sigaltstack take. */
struct action {
	uptr handler;
	uptr flags;
	uptr restorer;
	u64 mask;
};

struct stack {
	uptr base;
	int flags;
	uptr bytes;
};

/* One signal, as its handler found the world. */
struct arrival {
	u64 registers[REGISTER_SLOTS]; /* at the handler's first instruction */
	struct fpu fpu;
	uptr at; /* where the frame is: the handler's stack pointer */
	uptr state_at; /* where the frame says that the x87 state is */
	u8 frame[FRAME_BYTES];
	u8 state[STATE_BYTES];
};

extern struct arrival arrivals[ARRIVALS];
extern volatile u32 arrived; /* how many came, also past the last of `arrivals` */

/* Called in the handler, with what was kept; NULL for none. What it does to the frame is done. */
extern void (*in_handler)(struct arrival *arrival);

/* Install the handler. Without SA_RESTORER in `flags` it returns to the vDSO's trampoline. */
long catch_signal(int signal, uptr flags);

/* Where a handler without SA_SIGINFO returns to: i386 has an older frame and call for these. */
void restore_from_old_signal(void);
void restore_from_signal(void);

/* Whether XSAVE is there and the kernel lets programs use it for AVX. */
int has_avx(void);
void save_fpu(struct fpu *fpu);
void load_fpu(const struct fpu *fpu);

/* A state in which no two bytes that mean something are the same by chance. */
void make_fpu(struct fpu *fpu, u8 seed);

/* Memory as NUMBER.NAME, for a number below 100. */
void report_numbered(u32 number, const char *name, const void *from, uptr bytes);

/* As NUMBER.registers, NUMBER.at, NUMBER.frame. */
void report_frame(u32 number, const struct arrival *arrival);

/* These, and NUMBER.fpu, NUMBER.state_at, NUMBER.state. */
void report_arrival(u32 number, const struct arrival *arrival);

#endif
