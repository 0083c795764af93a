// SPDX-License-Identifier: Apache-2.0
/*
 * The dynamic symbols of the vDSO and their versions.
 * Source: System V ABI (ELF), gABI chapter 5; LSB Core, symbol versioning
 */
#include "vdso.h"

#define PT_LOAD 1
#define PT_DYNAMIC 2
#define DT_HASH 4
#define DT_STRTAB 5
#define DT_SYMTAB 6
#define DT_VERSYM 0x6ffffff0
#define DT_VERDEF 0x6ffffffc
#define DT_GNU_HASH 0x6ffffef5
#define VERSION_HIDDEN 0x8000

struct header {
	u8 identity[16];
	u16 type, machine;
	u32 version;
	uptr entry, program_headers, section_headers;
	u32 flags;
	u16 size, program_header_size, program_header_count;
};

#ifdef __x86_64__
struct program_header {
	u32 type, flags;
	uptr offset, address, physical, in_file, in_memory, alignment;
};

struct symbol {
	u32 name;
	u8 info, other;
	u16 section;
	uptr value, size;
};
#else
struct program_header {
	u32 type;
	uptr offset, address, physical, in_file, in_memory;
	u32 flags, alignment;
};

struct symbol {
	u32 name;
	uptr value, size;
	u8 info, other;
	u16 section;
};
#endif

struct definition {
	u16 version, flags, index, count;
	u32 hash, names, next;
};

struct image {
	uptr slide;
	const struct symbol *symbols;
	const char *strings;
	const u16 *versions;
	const u8 *definitions;
	u32 count;
};

static int same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* The GNU hash table has no count of symbols: it is one past the end of the last chain. */
static u32 count_by_gnu_hash(const u32 *table)
{
	u32 buckets = table[0], first = table[1], bloom = table[2], last = 0;
	const u32 *bucket = table + 4 + bloom * (sizeof(uptr) / 4);
	const u32 *chain = bucket + buckets;

	for (u32 i = 0; i < buckets; i++)
		if (bucket[i] > last)
			last = bucket[i];
	if (last < first)
		return first;
	while (!(chain[last - first] & 1))
		last++;
	return last + 1;
}

static void read_dynamic(struct image *image, const uptr *dynamic)
{
	for (; dynamic[0]; dynamic += 2) {
		uptr at = dynamic[1] + image->slide;

		switch (dynamic[0]) {
		case DT_SYMTAB:
			image->symbols = (const struct symbol *)at;
			break;
		case DT_STRTAB:
			image->strings = (const char *)at;
			break;
		case DT_VERSYM:
			image->versions = (const u16 *)at;
			break;
		case DT_VERDEF:
			image->definitions = (const u8 *)at;
			break;
		case DT_HASH:
			image->count = ((const u32 *)at)[1];
			break;
		case DT_GNU_HASH:
			if (!image->count)
				image->count = count_by_gnu_hash((const u32 *)at);
			break;
		default:
			break;
		}
	}
}

static int has_version(const struct image *image, u32 symbol, const char *version)
{
	u16 wanted = image->versions[symbol] & (u16)~VERSION_HIDDEN;
	const u8 *at = image->definitions;

	for (;;) {
		const struct definition *d = (const struct definition *)at;

		if (d->index == wanted)
			return same(image->strings + *(const u32 *)(at + d->names), version);
		if (!d->next)
			return 0;
		at += d->next;
	}
}

uptr find_in_vdso(uptr base, const char *name, const char *version)
{
	const struct header *header = (const struct header *)base;
	const struct program_header *ph;
	struct image image = { .count = 0 };
	const uptr *dynamic = NULL;

	if (!base)
		return 0;
	ph = (const struct program_header *)(base + header->program_headers);
	for (u32 i = 0; i < header->program_header_count; i++) {
		if (ph[i].type == PT_LOAD)
			image.slide = base + ph[i].offset - ph[i].address;
		if (ph[i].type == PT_DYNAMIC)
			dynamic = (const uptr *)(base + ph[i].offset);
	}
	if (dynamic)
		read_dynamic(&image, dynamic);
	if (!image.symbols || !image.strings || !image.versions || !image.definitions)
		return 0;
	for (u32 i = 0; i < image.count; i++)
		if (image.symbols[i].section && same(image.strings + image.symbols[i].name, name) &&
		    has_version(&image, i, version))
			return image.symbols[i].value + image.slide;
	return 0;
}
