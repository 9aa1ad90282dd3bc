// SPDX-License-Identifier: GPL-2.0-only
/* Changes the memory map in the boot loader's information (Multiboot 0.6.96, section 3.3). */
#include <stddef.h>
#include <stdint.h>

#define HAS_MAP		(1U << 6)
#define NVS		4
#define MAX_RANGES	64
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct information {
	uint32_t flags;
	uint32_t unused[10];
	uint32_t map_length, map_address;	/* bytes */
};

struct range {
	uint32_t size;				/* bytes of what follows */
	uint64_t address, length;		/* bytes */
	uint32_t type;				/* of E820 */
} __attribute__((packed));

/* Addresses in bytes, the end exclusive. Type 0 is a hole. */
static const struct change {
	uint64_t start, end;
	uint32_t type;
} changes[] = { CHANGES };

static struct range map[MAX_RANGES];
static size_t nr_ranges;

static void add(uint64_t start, uint64_t end, uint32_t type)
{
	if (start >= end || !type)
		return;
	if (nr_ranges == MAX_RANGES)
		__builtin_trap();
	map[nr_ranges++] = (struct range) {
		.size = sizeof(struct range) - sizeof(uint32_t),
		.address = start,
		.length = end - start,
		.type = type,
	};
}

/* Memory that is not RAM keeps its contents: words that encode their address. */
static void fill(const struct change *change)
{
	uint64_t *word = (void *)(uintptr_t)change->start;

	for (; (uintptr_t)word < change->end; word++)
		*word = PATTERN ^ (uintptr_t)word;
}

static void carve(const struct change *change)
{
	size_t before = nr_ranges;

	for (size_t i = 0; i < before; i++) {
		uint64_t start = map[i].address;
		uint64_t end = start + map[i].length;

		if (start >= change->end || end <= change->start)
			continue;
		/* The part before it may have length 0. */
		map[i].length = start < change->start ? change->start - start : 0;
		add(change->end, end, map[i].type);
	}
	add(change->start, change->end, change->type);
	if (change->type == NVS)
		fill(change);
}

void change_map(struct information *information)
{
	uint32_t offset = 0;

	if (!(information->flags & HAS_MAP))
		__builtin_trap();
	while (offset < information->map_length) {
		const struct range *range = (void *)(uintptr_t)(information->map_address + offset);

		add(range->address, range->address + range->length, range->type);
		offset += range->size + sizeof(range->size);
	}
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		carve(&changes[i]);
	information->map_length = nr_ranges * sizeof(struct range);
	information->map_address = (uintptr_t)map;
}
