// SPDX-License-Identifier: GPL-2.0-only
/* Uses most of free memory at once. */
#include <sys/mman.h>

#include "../mmstress.h"
#include "../tests.h"

#define CHUNK	(4 * MIB)
#define LEAST	(16 * MIB)	/* even if there is no time for it */

/* Returns how much was filled in time. */
static size_t fill_memory(char *mem, size_t size, uint32_t gen, double limit)
{
	size_t at = 0;

	while (at < size && (at < LEAST || now() < limit)) {
		fill(mem + at, CHUNK / PAGE, at / PAGE, gen);
		at += CHUNK;
	}
	return at;
}

/*
 * All memory must be free again, except for what the allocator keeps on per-CPU
 * lists, up to an eighth of a zone, which does not count as available.
 */
static void check_returned(long used_kb, long during_kb)
{
	long slack_kb = meminfo_kb("MemTotal") / 6;
	long returned_kb = meminfo_kb("MemAvailable") - during_kb;

	if (returned_kb < used_kb - slack_kb)
		fail("of %ld kB only %ld kB came back", used_kb, returned_kb);
}

void test_memory_hog(void)
{
	for (uint32_t gen = 1; more(); gen++) {
		long available = meminfo_kb("MemAvailable"), during;
		size_t size, used;
		char *mem;

		if (available < 0)
			fail("no MemAvailable in /proc/meminfo");
		size = available * KIB / 4 * 3;
		size -= size % CHUNK;
		if (!size)
			skip("only %ld kB available", available);
		mem = map(size, PROT_READ | PROT_WRITE);
		used = fill_memory(mem, size, gen, now() + seconds_left() / 2);
		during = meminfo_kb("MemAvailable");
		verify(mem, used / PAGE, 0, gen, "memory");
		unmap(mem, size);
		check_returned(used / KIB, during);
	}
}
