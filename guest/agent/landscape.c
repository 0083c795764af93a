// SPDX-License-Identifier: Apache-2.0
/* The executor's memory: regions at known addresses, and a page that tells about the process. */
#include "executor.h"
#include "numbers.h"

#define AT_NULL 0
#define AT_SYSINFO 32

uptr at_sysinfo;

static void map_region(uptr start, uptr bytes, int protection)
{
	long at = sys6(NR_mmap, start, bytes, protection, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS,
		       -1, 0);

	if (at != (long)start)
		die(100);
}

#define MAP(name, start, bytes, protection) map_region(start, bytes, protection);

void map_regions(void)
{
	REGIONS(MAP)
}

#define LANDED_DECLARE(name) extern u8 landed_##name[];
#define LANDED_ADDRESS(name) (uptr) landed_##name,
ENTRY_PATHS(LANDED_DECLARE)

static void cpuid(u32 leaf, u32 out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(0));
}

static const uptr *find_auxv(const uptr *stack)
{
	const uptr *at = stack + 1 + stack[0] + 1;

	while (*at)
		at++;
	return at + 1;
}

void describe(const uptr *stack)
{
	struct about *about = (struct about *)ABOUT_START;
	const uptr *auxv = find_auxv(stack);
	const uptr landed[] = { ENTRY_PATHS(LANDED_ADDRESS) };

	memcpy(about->first_registers, first_registers, sizeof(about->first_registers));
	for (u32 i = 0; i + 1 < ARRAY_LENGTH(about->auxv); i += 2) {
		about->auxv[i] = auxv[i];
		about->auxv[i + 1] = auxv[i + 1];
		if (auxv[i] == AT_SYSINFO)
			at_sysinfo = auxv[i + 1];
		if (auxv[i] == AT_NULL)
			break;
	}
	for (u32 i = 0; i < ARRAY_LENGTH(landed); i++)
		about->landed[i] = landed[i];
	cpuid(0, about->cpuid_vendor);
	cpuid(1, about->cpuid_features);
	cpuid(0x80000001, about->cpuid_extended);
	cpuid(0x40000000, about->cpuid_hypervisor);
}
