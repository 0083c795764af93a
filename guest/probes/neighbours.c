// SPDX-License-Identifier: Apache-2.0
/*
 * neighbours: two processes, each with flags, segments, bases and vector registers of its own, wake
 * each other in turn; each sleeps in a call that it made through an entry path.
 *
 * Takes:  the entry path; the flags of the first process; the flags of the second.
 * Asks:   does the second inherit what the first has? does each find after every call what it had
 *         before? For each: which flags ever differed, which segments (1 ds, 2 es, 4 fs, 8 gs); in
 *         how many rounds a word at a base of fs or gs did, and the x87 and SSE registers.
 * Known:  CVE-2006-5755, CVE-2006-5173 (NT, AC leak to another task).
 * Source: arch/x86/kernel/process_32.c, process_64.c __switch_to; asm/switch_to.h (6.1)
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"
#include "vectors.h"

#define ROUNDS 20
#define NR_set_thread_area_i386 243
#define USABLE_PAGES 0x51 /* flags of a descriptor: 32 bits, counted in pages, usable */

#ifdef __x86_64__
#define NR_arch_prctl 158
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#endif

struct difference {
	u64 flags, segments, bases, vectors;
};

struct segments {
	u16 ds, es, fs, gs;
	u32 fs_word, gs_word;
};

static u8 vector[VECTOR_BYTES] __attribute__((aligned(16)));
static u8 vector_after[VECTOR_BYTES] __attribute__((aligned(16)));
static u32 fs_word[2] = { 0xf5f50000, 0xf5f50001 };
static u32 gs_word[2] = { 0x65650000, 0x65650001 };

_Noreturn void c_main(const uptr *stack);

/* One of the thread's own descriptors, a free one at first; returns its selector. */
static u16 own_descriptor(u32 which, uptr base)
{
	static u32 numbers[] = { 0xffffffff, 0xffffffff, 0xffffffff };
	static u32 description[4]; /* below 4 GiB, where int $0x80 can be given its address */
	int error;

	description[0] = numbers[which];
	description[1] = (u32)base;
	description[2] = 0xfffff;
	description[3] = USABLE_PAGES;
	__asm__ volatile("int $0x80"
			 : "=a"(error)
			 : "a"(NR_set_thread_area_i386), "b"((u32)(uptr)description)
			 : "memory");
	if (error)
		die(1);
	numbers[which] = description[0];
	return (u16)(description[0] << 3 | 3);
}

#ifdef __x86_64__
static void own_segments(u32 who)
{
	u16 ds = own_descriptor(who, 0), es = own_descriptor(2, 0);

	__asm__ volatile("movw %0, %%ds; movw %1, %%es" ::"r"(ds), "r"(es));
	sys2(NR_arch_prctl, ARCH_SET_FS, &fs_word[who]);
	sys2(NR_arch_prctl, ARCH_SET_GS, &gs_word[who]);
}
#else
static void own_segments(u32 who)
{
	u16 usual_es = (u16)first_registers[REG_ES];
	u16 flat = own_descriptor(0, 0), fs = own_descriptor(1, (uptr)&fs_word[who]);
	u16 gs = own_descriptor(2, (uptr)&gs_word[who]), es = who ? usual_es : flat;

	__asm__ volatile("movw %0, %%ds; movw %1, %%es; movw %2, %%fs; movw %3, %%gs" ::"r"(flat),
			 "r"(es), "r"(fs), "r"(gs));
}
#endif

static struct segments look_at_segments(void)
{
	struct segments s;

	__asm__ volatile("movw %%ds, %0; movw %%es, %1; movw %%fs, %2; movw %%gs, %3"
			 : "=r"(s.ds), "=r"(s.es), "=r"(s.fs), "=r"(s.gs));
	__asm__ volatile("movl %%fs:0, %0; movl %%gs:0, %1" : "=r"(s.fs_word), "=r"(s.gs_word));
	return s;
}

/* Every register another value, no exception pending, all of them masked; of the control word bit 6
 * is always one on a processor (Intel SDM volume 1, 8.1.5), whatever an emulator keeps there. */
static void own_vectors(u32 who)
{
	__asm__ volatile(FXSAVE : "=m"(vector));
	for (u32 i = X87_REGISTERS; i < VECTOR_END; i++)
		vector[i] = (u8)(i * 7 + who * 0x55 + 1);
	vector[CONTROL_WORD] = 0x7f;
	vector[CONTROL_WORD + 1] = who ? 0x0b : 0x07; /* precision and rounding */
	vector[TAG_WORD] = 0xff; /* none is empty */
	vector[MXCSR] = who ? 0x80 : 0xc0;
	vector[MXCSR + 1] = who ? 0x3f : 0x7f;
}

static u32 bytes_differ(u32 start, u32 bytes)
{
	u32 count = 0;

	for (u32 i = start; i < start + bytes; i++)
		count += vector[i] != vector_after[i];
	return count;
}

static u32 vectors_differ(void)
{
	u32 count = bytes_differ(CONTROL_WORD, 5) + bytes_differ(MXCSR, 4);

	for (u32 i = 0; i < 8; i++)
		count += bytes_differ(X87_REGISTERS + 16 * i, X87_BYTES);
	return (count + bytes_differ(XMM_REGISTERS, VECTOR_END - XMM_REGISTERS)) != 0;
}

static u64 segments_that_differ(const struct segments *a, const struct segments *b)
{
	return (a->ds != b->ds) | (a->es != b->es) << 1 | (a->fs != b->fs) << 2 |
	       (a->gs != b->gs) << 3;
}

/* What differs since `was`, and since the vector registers were loaded. */
static void compare(const struct segments *was, struct difference *seen)
{
	struct segments is = look_at_segments();

	seen->segments |= segments_that_differ(was, &is);
	seen->bases += was->fs_word != is.fs_word || was->gs_word != is.gs_word;
	seen->vectors += vectors_differ();
}

/* One turn: sleep in read() until the neighbour writes. */
static void wait_for(int fd, u32 entry, long nr_read, u64 flags, struct difference *seen)
{
	static u8 byte;
	struct segments was = look_at_segments();

	load_call(entry, nr_read, fd, (long)(uptr)&byte, 1, 0, 0, 0);
	before[REG_FLAGS] = flags;
	__asm__ volatile(FXRSTOR ::"m"(vector));
	if ((int)go_through(entry) != 1)
		die(2);
	__asm__ volatile(FXSAVE : "=m"(vector_after));
	seen->flags |= after[REG_FLAGS] ^ flags;
	compare(&was, seen);
}

/* Make the second process: what of the first one's does it find otherwise? */
static u32 divide(struct difference *inherited)
{
	struct segments was;
	u32 is_child;

	own_segments(0);
	own_vectors(0);
	was = look_at_segments();
	__asm__ volatile(FXRSTOR ::"m"(vector));
	is_child = sys0(NR_fork) == 0;
	__asm__ volatile(FXSAVE : "=m"(vector_after));
	if (is_child) {
		compare(&was, inherited);
		own_segments(1);
		own_vectors(1);
	}
	return is_child;
}

static long number_of_read(u32 entry)
{
#ifdef __x86_64__
	return entry == ENTRY_INT80_64 ? 3 : NR_read;
#else
	(void)entry;
	return NR_read;
#endif
}

_Noreturn void c_main(const uptr *stack)
{
	u32 entry = (u32)argument(stack, 1);
	struct difference *seen = (struct difference *)sys6(
		NR_mmap, 0, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int to[2][2];
	u32 who;

	prepare_to_enter(stack);
	sys2(NR_pipe2, to[0], 0);
	sys2(NR_pipe2, to[1], 0);
	who = divide(&seen[2]);
	for (u32 round = 0; round < ROUNDS; round++) {
		if (!who)
			sys3(NR_write, to[1][1], "x", 1);
		wait_for(to[who][0], entry, number_of_read(entry), argument(stack, 2 + who),
			 &seen[who]);
		if (who)
			sys3(NR_write, to[0][1], "x", 1);
	}
	if (who)
		die(0);
	sys4(NR_wait4, -1, NULL, 0, NULL);
	report("flags of the first", seen[0].flags);
	report("flags of the second", seen[1].flags);
	report("segments of the first", seen[0].segments);
	report("segments of the second", seen[1].segments);
	report("bases of the first", seen[0].bases);
	report("bases of the second", seen[1].bases);
	report("vectors of the first", seen[0].vectors);
	report("vectors of the second", seen[1].vectors);
	report("segments inherited", seen[2].segments);
	report("bases inherited", seen[2].bases);
	report("vectors inherited", seen[2].vectors);
	die(0);
}
