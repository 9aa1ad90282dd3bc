// SPDX-License-Identifier: GPL-2.0-only
/* Pages that are populated before they are touched, or discarded afterwards. */
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

void test_dontneed(void)
{
	size_t size = fit(4 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);
	int fd = tmpfs_file(size);
	char *shared = map_file(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
	char *private = map_file(fd, size, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	for (uint32_t gen = 1; more(); gen++) {
		size_t first = rnd_below(pages);
		size_t count = 1 + rnd_below(pages - first);
		char *at = mem + first * PAGE;

		fill(mem, pages, 0, gen);
		advise(at, count * PAGE, MADV_DONTNEED);
		for (size_t i = 0; i < count; i++)
			if (!is_zero_page(at + i * PAGE))
				fail("discarded page %zu is not zero", first + i);
		verify(mem, first, 0, gen, "before what was discarded");
		verify(at + count * PAGE, pages - first - count, first + count,
		       gen, "after what was discarded");

		fill(shared, pages, 0, gen);
		fill(private, pages, 0, ~gen);
		advise(private, size, MADV_DONTNEED);
		advise(shared, size, MADV_DONTNEED);
		verify(private, pages, 0, gen, "private mapping, discarded");
		verify(shared, pages, 0, gen, "shared mapping, discarded");
		advise(private, size, MADV_DONTNEED);
	}
	close(fd);
}

void test_mlock(void)
{
	size_t size = fit(2 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; more(); gen++) {
		advise(mem, size, MADV_DONTNEED);
		if (mlock(mem, size))
			fail_errno("mlock of %zu bytes", size);
		for (size_t i = 0; i < pages; i++)
			if (!(pagemap(mem + i * PAGE) & PM_PRESENT))
				fail("locked page %zu is not present", i);
		fill(mem, pages, 0, gen);
		verify(mem, pages, 0, gen, "locked");
		if (munlock(mem, size))
			fail_errno("munlock");
		verify(mem, pages, 0, gen, "unlocked");
	}
}
