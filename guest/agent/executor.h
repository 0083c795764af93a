/* SPDX-License-Identifier: Apache-2.0 */
/* What the executor's files share: the register records and the ways in and out of a call. */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include "facts.h"
#include "guest.h"
#include "message.h"

/* Where the agent and the executor talk; high, so that a call's descriptors begin at 3. */
#define REQUEST_FD 1000
#define ANSWER_FD 1001

/* What stopped a call, when a signal did. */
struct caught {
	u32 signal; /* 0: the call returned */
	u32 code;
	u64 address;
	u64 trap;
	u64 error;
};

/* At the start of region `about`, for the host to read. */
struct about {
	u64 first_registers[REGISTER_SLOTS];
	u64 auxv[128]; /* pairs, to AT_NULL */
	u64 landed[8]; /* where each entry path comes back to, in their order */
	u32 cpuid_vendor[4]; /* leaf 0 */
	u32 cpuid_features[4]; /* leaf 1 */
	u32 cpuid_extended[4]; /* leaf 0x80000001 */
	u32 cpuid_hypervisor[4]; /* leaf 0x40000000 */
};

extern u64 before[REGISTER_SLOTS];
extern u64 after[REGISTER_SLOTS];
extern u64 first_registers[REGISTER_SLOTS];
extern struct caught caught;
extern uptr at_sysinfo;
extern uptr own_thread; /* in resume_*.S */

/* In resume_*.S. */
void leave_entry(void);
uptr guarded_copy(void *to, const void *from, uptr bytes);
void guarded_copy_moves(void);
void guarded_copy_resumes(void);
void restore_from_signal(void);

/* In signals.c. */
void catch_signals(void);
void call_through(void (*enter)(void));

/* In landscape.c. */
void map_regions(void);
void describe(const uptr *stack);

#endif
