// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread writes through a shared file mapping while another one removes the
 * right to write, or the mapping itself. All writes must be in the file, and no
 * write may succeed once the right is gone.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define PAGES	64UL
#define SIZE	(PAGES * PAGE)

struct race {
	uint64_t *mem;			/* the mapping that changes */
	uint64_t last[PAGES];		/* the last value that was written */
	_Atomic unsigned long writes;
	_Atomic bool stop;
};

static uint64_t *word(uint64_t *mem, size_t page)
{
	return mem + page * (PAGE / sizeof(*mem)) + page % 8;
}

static void *writer(void *arg)
{
	struct race *race = arg;

	pin(1);
	for (uint64_t value = 1; !atomic_load(&race->stop); value++) {
		size_t page = rnd_below(PAGES);

		if (!try_store(word(race->mem, page), value)) {
			race->last[page] = value;
			atomic_fetch_add(&race->writes, 1);
		}
	}
	return NULL;
}

/* While the pages are read-only, the file may not change. */
static void check_frozen(struct race *race, const uint64_t *view)
{
	uint64_t before[PAGES];

	protect(race->mem, SIZE, PROT_READ);
	for (size_t page = 0; page < PAGES; page++)
		before[page] = *word((uint64_t *)view, page);
	usleep(100);
	for (size_t page = 0; page < PAGES; page++)
		if (*word((uint64_t *)view, page) != before[page])
			fail("page %zu changed while it was read-only", page);
	protect(race->mem, SIZE, PROT_READ | PROT_WRITE);
}

static void disturb(struct race *race, int fd, const uint64_t *view)
{
	void *mem;

	switch (rnd_below(4)) {
	case 0:
		check_frozen(race, view);
		break;
	case 1:
		mem = mmap(race->mem, SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0);
		if (mem == MAP_FAILED)
			fail_errno("mmap over a mapping");
		break;
	case 2:
		advise(race->mem, SIZE, MADV_DONTNEED);
		break;
	case 3:
		protect(race->mem, SIZE, PROT_NONE);
		protect(race->mem, SIZE, PROT_READ | PROT_WRITE);
		break;
	}
}

static void check_file(struct race *race, int fd)
{
	static uint64_t buf[PAGE / sizeof(uint64_t)];

	for (size_t page = 0; page < PAGES; page++) {
		if (pread(fd, buf, PAGE, page * PAGE) != PAGE)
			fail_errno("pread of page %zu", page);
		if (buf[page % 8] != race->last[page])
			fail("page %zu: wrote %lu, the file has %lu, seed %lu",
			     page, race->last[page], buf[page % 8],
			     pattern_seed);
	}
}

void test_dirty_race(void)
{
	const int rw = PROT_READ | PROT_WRITE;

	pin(0);
	while (more()) {
		struct race race = { 0 };
		int fd = tmpfs_file(SIZE);
		const uint64_t *view = map_file(fd, SIZE, PROT_READ, MAP_SHARED);
		unsigned long id;

		race.mem = map_file(fd, SIZE, rw, MAP_SHARED);
		id = thread(writer, &race);
		for (unsigned int i = 0; i < 50 || !race.writes; i++)
			disturb(&race, fd, view);
		atomic_store(&race.stop, true);
		join(id);
		check_file(&race, fd);
		unmap(race.mem, SIZE);
		unmap((void *)view, SIZE);
		close(fd);
	}
}
