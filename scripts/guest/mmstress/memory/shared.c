// SPDX-License-Identifier: GPL-2.0-only
/* Memory that several processes, or a process and a file, see at once. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define STRIPE	16UL		/* pages that one process writes */
#define PEERS	8U

/*
 * Every process writes its own stripe and then reads all the others. The
 * turn counters form a barrier: gen is complete once all have announced it.
 */
struct ring {
	_Atomic uint32_t done[PEERS];
	_Atomic uint32_t left[PEERS];
};

static void wait_for(_Atomic uint32_t *turn, unsigned int peers, uint32_t gen)
{
	for (unsigned int i = 0; i < peers; i++)
		while (atomic_load(&turn[i]) < gen)
			usleep(50);
}

static void ring_peer(struct ring *ring, char *mem, unsigned int me,
		      unsigned int peers, uint32_t gens)
{
	pin(me);
	for (uint32_t gen = 1; gen <= gens; gen++) {
		fill(mem + me * STRIPE * PAGE, STRIPE, me * STRIPE, gen);
		atomic_store(&ring->done[me], gen);
		wait_for(ring->done, peers, gen);
		verify(mem, peers * STRIPE, 0, gen, "stripes of all processes");
		atomic_store(&ring->left[me], gen);
		wait_for(ring->left, peers, gen);
		/* In the next round the pages must be faulted in again. */
		if (gen % 4 == me % 4)
			advise(mem, peers * STRIPE * PAGE, MADV_DONTNEED);
	}
}

void test_shared_anon(void)
{
	const unsigned int peers = nr_cpus < 2 ? 2 :
				   nr_cpus < PEERS ? nr_cpus : PEERS;
	const size_t size = peers * STRIPE * PAGE;

	while (more()) {
		struct ring *ring = map_file(-1, PAGE, PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_ANONYMOUS);
		char *mem = map_file(-1, size, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS);
		pid_t pids[PEERS];

		for (unsigned int i = 0; i < peers; i++) {
			pids[i] = spawn();
			if (!pids[i]) {
				ring_peer(ring, mem, i, peers, 4);
				_exit(0);
			}
		}
		for (unsigned int i = 0; i < peers; i++)
			reap(pids[i]);
		verify(mem, peers * STRIPE, 0, 4, "parent");
		unmap(mem, size);
		unmap(ring, PAGE);
	}
}

static void write_page(int fd, size_t page, uint32_t gen)
{
	static char buf[PAGE];

	fill(buf, 1, page, gen);
	if (pwrite(fd, buf, PAGE, page * PAGE) != PAGE)
		fail_errno("pwrite of page %zu", page);
}

static void verify_file(int fd, size_t page, uint32_t gen, const char *what)
{
	static char buf[PAGE];

	if (pread(fd, buf, PAGE, page * PAGE) != PAGE)
		fail_errno("pread of page %zu", page);
	verify(buf, 1, page, gen, what);
}

void test_shared_file(void)
{
	size_t size = fit(2 * MIB), pages = size / PAGE;
	int fd = tmpfs_file(size);

	for (uint32_t gen = 1; more(); gen++) {
		char *one = map_file(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
		char *two = map_file(fd, size, PROT_READ, MAP_SHARED);
		size_t cut = 1 + rnd_below(pages - 1);
		pid_t pid;

		for (size_t i = 0; i < pages; i++)
			if (i % 2)
				fill(one + i * PAGE, 1, i, gen);
			else
				write_page(fd, i, gen);
		verify(two, pages, 0, gen, "second mapping");
		for (size_t i = 0; i < pages; i++)
			verify_file(fd, i, gen, "file");
		pid = spawn();
		if (!pid) {
			fill(one, pages, 0, ~gen);
			_exit(0);
		}
		reap(pid);
		verify(two, pages, 0, ~gen, "written by a child");
		/* Beyond the end of a file there is nothing but SIGBUS. */
		if (ftruncate(fd, cut * PAGE))
			fail_errno("ftruncate");
		if (try_read(one + cut * PAGE) != SIGBUS)
			fail("no SIGBUS beyond the end of a file");
		verify(one, cut, 0, ~gen, "before the cut");
		if (ftruncate(fd, size))
			fail_errno("ftruncate");
		if (!is_zero_page(one + cut * PAGE))
			fail("a file grew by a page that is not zero");
		unmap(one, size);
		unmap(two, size);
	}
	close(fd);
}

void test_private_file(void)
{
	size_t size = fit(2 * MIB), pages = size / PAGE;
	int fd = tmpfs_file(size);

	for (uint32_t gen = 1; more(); gen++) {
		char *mem = map_file(fd, size, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		pid_t pid;

		for (size_t i = 0; i < pages; i++)
			write_page(fd, i, gen);
		verify(mem, pages, 0, gen, "private mapping of a file");
		for (size_t i = 0; i < pages; i += 2)
			fill(mem + i * PAGE, 1, i, ~gen);
		pid = spawn();
		if (!pid) {
			fill(mem, pages, 0, gen + 1);
			verify(mem, pages, 0, gen + 1, "child");
			_exit(0);
		}
		reap(pid);
		for (size_t i = 0; i < pages; i++) {
			verify_file(fd, i, gen, "file under private mappings");
			verify(mem + i * PAGE, 1, i, i % 2 ? gen : ~gen,
			       "private pages");
		}
		unmap(mem, size);
	}
	close(fd);
}
