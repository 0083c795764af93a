/* SPDX-License-Identifier: Apache-2.0 */
/* How a probe reports: a line of standard output for each value, its name and hexadecimal. */
#ifndef REPORT_H
#define REPORT_H

#include "guest.h"

void report(const char *name, u64 value);

/* The same for memory: one number as wide as it is, the first byte its lowest. */
void report_memory(const char *name, const void *from, uptr bytes);

/* What is reported between these two is written at once, since each line written alone wakes the
 * agent; a probe that dies in between takes it along, and one that forks tells it twice. */
void keep_reports(void);
void write_reports(void);

/* The probe's argument number `place`, from 1; 0 where it was given fewer. */
u64 argument(const uptr *stack, u32 place);

/* A value of the auxiliary vector (getauxval(3)); 0 where there is none. */
uptr auxiliary(const uptr *stack, uptr type);

#endif
