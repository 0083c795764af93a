// SPDX-License-Identifier: Apache-2.0
/*
 * user_copies: has the kernel copy every number of bytes of a range to and from memory at every
 * one of a number of offsets, and compares through a shared mapping of the file.
 *
 * Arguments: entry path, fewest bytes, most bytes, offsets.
 * Asks:   are all bytes copied, exactly these, and is the right number answered?
 * Known:  nothing.
 * Source: arch/x86/lib/{copy_user_64.S,usercopy_32.c}, include/linux/uaccess.h (6.1)
 */
#include "enter.h"
#include "numbers.h"
#include "report.h"

#define MOST_BYTES (1u << 20)
#define ROOM (MOST_BYTES + 4 * PAGE_BYTES)
#define BESIDE 16u
#define MAP_OF_OWN (MAP_PRIVATE | MAP_ANONYMOUS)

#ifdef __x86_64__
#define NR_pread64 17
#define NR_pwrite64 18
#define NR_ftruncate 77
#define NR_memfd_create 319
#else
#define NR_ftruncate 93
#define NR_pread64 180
#define NR_pwrite64 181
#define NR_memfd_create 356
#endif

_Noreturn void c_main(const uptr *stack);

static u32 entry_path;
static int fd;
static u8 *in_file, *in_memory;
static u64 calls, wrong_counts, wrong_bytes, touched, first_bytes, first_offset;

static u8 pattern(u32 place)
{
	return (u8)(place * 167u + (place >> 8) * 13u + 1u);
}

static u64 differing(const u8 *at, u32 bytes, u32 first)
{
	u64 count = 0;

	for (u32 i = 0; i < bytes; i++)
		count += at[i] != pattern(first + i);
	return count;
}

static u64 not_cleared(const u8 *at, u32 bytes)
{
	u64 count = 0;

	for (u32 i = 0; i < bytes; i++)
		count += at[i] != 0;
	return count;
}

static void judge(long answered, const u8 *to, u32 bytes, u32 first)
{
	u64 wrong = differing(to, bytes, first);
	u64 beside = not_cleared(to - BESIDE, BESIDE) + not_cleared(to + bytes, BESIDE);

	calls++;
	if (!first_bytes && (answered != (long)bytes || wrong || beside)) {
		first_bytes = bytes;
		first_offset = (uptr)to % 64;
	}
	wrong_counts += answered != (long)bytes;
	wrong_bytes += wrong;
	touched += beside;
}

static void fill(u8 *at, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		at[i] = pattern(i);
}

/* What lies at `first` in `from` goes to `offset` in `to`, which is clear around it. */
static void copy(long nr, u8 *to, u32 offset, u8 *from, u32 first, u32 bytes)
{
	u8 *user = nr == NR_pread64 ? to + offset : from + first;
	u32 position = nr == NR_pread64 ? first : offset;

	memset(to + offset - BESIDE, 0, bytes + 2 * BESIDE);
	judge(enter(entry_path, nr, fd, (long)user, (long)bytes, (long)position, 0, 0), to + offset,
	      bytes, first);
}

static void copy_all(long nr, u8 *to, u8 *from, u32 fewest, u32 most, u32 offsets)
{
	fill(from, most + 128);
	for (u32 bytes = fewest; bytes <= most; bytes++)
		for (u32 offset = 0; offset < offsets; offset++)
			copy(nr, to, 64 + offset, from, (bytes * 5 + offset * 3) % 64, bytes);
}

_Noreturn void c_main(const uptr *stack)
{
	u32 fewest = (u32)argument(stack, 2), most = (u32)argument(stack, 3);
	u32 offsets = (u32)argument(stack, 4);

	prepare_to_enter(stack);
	entry_path = (u32)argument(stack, 1);
	fd = (int)sys2(NR_memfd_create, "copies", 0);
	sys2(NR_ftruncate, fd, ROOM);
	in_file = (u8 *)sys6(NR_mmap, NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	in_memory = (u8 *)sys6(NR_mmap, NULL, ROOM, PROT_READ | PROT_WRITE, MAP_OF_OWN, -1, 0);
	copy_all(NR_pread64, in_memory, in_file, fewest, most, offsets);
	copy_all(NR_pwrite64, in_file, in_memory, fewest, most, offsets);
	report("calls", calls);
	report("wrong_counts", wrong_counts);
	report("wrong_bytes", wrong_bytes);
	report("touched_beside", touched);
	report("first_bytes", first_bytes);
	report("first_offset", first_offset);
	die(0);
}
