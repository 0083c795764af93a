/* SPDX-License-Identifier: Apache-2.0 */
/* Calls through the entry paths, for probes: the very instructions that the executor uses. */
#ifndef ENTER_H
#define ENTER_H

#include "facts.h"
#include "guest.h"

/* What a call goes in with and comes out with; places are REG_... of facts.h. */
extern u64 before[REGISTER_SLOTS];
extern u64 after[REGISTER_SLOTS];
extern u64 first_registers[REGISTER_SLOTS];

/* To be called first: finds what kernel_vsyscall needs in the auxiliary vector. */
void prepare_to_enter(const uptr *stack);

/* One call through ENTRY_...; other registers hold their defaults. The result is a register's. */
long enter(u32 entry, long nr, long a, long b, long c, long d, long e, long f);

/* The same in two steps, between which `before` may be changed. */
void lay_out_call(u32 entry, long nr, long a, long b, long c, long d, long e, long f);
long make_call(u32 entry);

/* Where that entry path comes back to: the address after its instruction. */
uptr landing_of(u32 entry);

#define enter0(entry, nr) enter(entry, (long)(nr), 0, 0, 0, 0, 0, 0)
#define enter1(entry, nr, a) enter(entry, (long)(nr), (long)(a), 0, 0, 0, 0, 0)
#define enter2(entry, nr, a, b) enter(entry, (long)(nr), (long)(a), (long)(b), 0, 0, 0, 0)
#define enter3(entry, nr, a, b, c) \
	enter(entry, (long)(nr), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define enter4(entry, nr, a, b, c, d) \
	enter(entry, (long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

#endif
