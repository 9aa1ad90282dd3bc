// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls that copy to and from pages that are not present yet: the fault
 * happens in the kernel, needs tables of each level, and the copy continues at
 * once. Meanwhile a thread changes rights in the same level-1 table.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define PAGES	16UL
#define SIZE	(PAGES * PAGE)
#define SLOTS	200UL		/* entries of the root to choose from */

struct neighbour {
	char *mem;
	_Atomic bool stop;
};

static void *change_rights(void *arg)
{
	struct neighbour *neighbour = arg;

	pin(1);
	fill(neighbour->mem, PAGES, 0, 0);
	for (uint32_t gen = 1; !atomic_load(&neighbour->stop); gen++) {
		protect(neighbour->mem, SIZE, PROT_READ);
		verify(neighbour->mem, PAGES, 0, gen - 1, "beside copies");
		protect(neighbour->mem, SIZE, PROT_READ | PROT_WRITE);
		fill(neighbour->mem, PAGES, 0, gen);
	}
	return NULL;
}

/* An address below an entry of the root that is probably otherwise unused. */
static char *map_far_away(size_t size)
{
	uintptr_t hint = (1 + rnd_below(SLOTS)) * PGD;
	char *mem = mmap((void *)hint, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		fail_errno("mmap near %#lx", hint);
	small_pages(mem, size);
	return mem;
}

static void must_copy(ssize_t got, size_t expected, const char *what)
{
	if (got < 0)
		fail_errno("%s, expected %zu bytes", what, expected);
	if (got != (ssize_t)expected)
		fail("%s: %zd bytes, expected %zu", what, got, expected);
}

/* Copies up to page @at, and not a byte beyond it. */
static void stopped_at(int fd, char *mem, size_t at, uint32_t gen)
{
	fill(mem, PAGES, 0, gen + 1);
	protect(mem + at * PAGE, PAGE, PROT_READ);
	must_copy(pread(fd, mem, SIZE, 0), at * PAGE, "read up to a read-only page");
	verify(mem, at, 0, gen, "before a read-only page");
	verify(mem + at * PAGE, PAGES - at, at, gen + 1, "from a read-only page on");
	if (pread(fd, mem + at * PAGE, PAGE, 0) != -1 || errno != EFAULT)
		fail("read into a read-only page gave %s", strerrorname_np(errno));
	protect(mem + at * PAGE, PAGE, PROT_NONE);
	must_copy(pwrite(fd, mem, SIZE, SIZE), at * PAGE,
		  "write up to an inaccessible page");
	protect(mem, SIZE, PROT_READ | PROT_WRITE);
}

static void copy_round(int fd, uint32_t gen)
{
	char *mem = map_far_away(2 * SIZE), *zeros = map_far_away(SIZE);
	struct neighbour neighbour = { .mem = mem + SIZE };
	unsigned long id;
	pid_t pid;

	/* No table existed there before. */
	must_copy(pread(fd, mem, SIZE, 0), SIZE, "read into nothing");
	verify(mem, PAGES, 0, gen, "read into nothing");
	must_copy(pwrite(fd, zeros, SIZE, SIZE), SIZE, "write from nothing");
	pid = spawn();
	if (!pid) {
		must_copy(pread(fd, mem, SIZE, SIZE), SIZE, "read into shared pages");
		for (size_t i = 0; i < PAGES; i++)
			if (!is_zero_page(mem + i * PAGE))
				fail("page %zu written from nothing is not zero", i);
		_exit(0);
	}
	reap(pid);
	verify(mem, PAGES, 0, gen, "after a child's read");

	id = thread(change_rights, &neighbour);
	for (size_t i = 0; i < PAGES; i++) {
		stopped_at(fd, mem, 1 + rnd_below(PAGES - 1), gen);
		advise(mem, SIZE, MADV_DONTNEED);
		must_copy(pread(fd, mem, SIZE, 0), SIZE, "read into dropped pages");
		verify(mem, PAGES, 0, gen, "read into dropped pages");
	}
	atomic_store(&neighbour.stop, true);
	join(id);
	unmap(mem, 2 * SIZE);
	unmap(zeros, SIZE);
}

void test_copy_faults(void)
{
	int fd = tmpfs_file(2 * SIZE);

	pin(0);
	for (uint32_t gen = 1; more(); gen += 2) {
		char *source = map_file(fd, SIZE, PROT_READ | PROT_WRITE,
					MAP_SHARED);

		fill(source, PAGES, 0, gen);
		unmap(source, SIZE);
		copy_round(fd, gen);
	}
	close(fd);
}
