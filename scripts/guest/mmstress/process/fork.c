// SPDX-License-Identifier: GPL-2.0-only
/* Short-lived address spaces, and the pages that they share. */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

void test_fork(void)
{
	const size_t pages = 8;
	char *mem = map(pages * PAGE, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; more(); gen++) {
		pid_t pid;

		fill(mem, pages, 0, gen);
		pid = spawn();
		if (!pid) {
			verify(mem, pages, 0, gen, "child");
			fill(mem, pages, 0, ~gen);
			verify(mem, pages, 0, ~gen, "child after writing");
			_exit(0);
		}
		reap(pid);
		verify(mem, pages, 0, gen, "parent");
	}
}

/* Writes every second page, so that shared and copied pages alternate. */
static void fill_even(char *mem, size_t pages, uint32_t gen)
{
	for (size_t i = 0; i < pages; i += 2)
		fill(mem + i * PAGE, 1, i, gen);
}

static void verify_even(char *mem, size_t pages, uint32_t even, uint32_t odd,
			const char *what)
{
	for (size_t i = 0; i < pages; i++)
		verify(mem + i * PAGE, 1, i, i % 2 ? odd : even, what);
}

void test_fork_big(void)
{
	size_t size = fit(64 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	fill(mem, pages, 0, 0);
	for (uint32_t gen = 1; more(); gen++) {
		pid_t pid;

		pid = spawn();
		if (!pid) {
			verify(mem, pages, 0, gen - 1, "child");
			fill_even(mem, pages, ~gen);
			verify_even(mem, pages, ~gen, gen - 1,
				    "child after writing");
			_exit(0);
		}
		/* The child reads its pages while the parent overwrites its own. */
		fill(mem, pages, 0, gen);
		reap(pid);
		verify(mem, pages, 0, gen, "parent");
	}
}

static void cow_link(char *mem, size_t pages, uint32_t gen, unsigned int depth)
{
	size_t half = pages / 2;
	pid_t pid = 0;

	pin(depth);
	if (depth) {
		pid = spawn();
		if (!pid) {
			cow_link(mem, pages, gen, depth - 1);
			_exit(0);
		}
	}
	/* All processes write the first half at the same time. */
	verify(mem, half, 0, gen, "inherited half, before");
	fill(mem, half, 0, gen + 1 + depth);
	verify(mem, half, 0, gen + 1 + depth, "own half");
	verify(mem + half * PAGE, pages - half, half, gen, "inherited half");
	if (pid)
		reap(pid);
	verify(mem, half, 0, gen + 1 + depth, "own half, after");
	verify(mem + half * PAGE, pages - half, half, gen, "shared half, after");
}

/* Each process of the chain forks before it writes: all inherit the same generation. */
void test_cow(void)
{
	const unsigned int depth = 3;
	size_t size = fit(MIB) / (depth + 1), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; more(); gen += depth + 2) {
		fill(mem, pages, 0, gen);
		cow_link(mem, pages, gen, depth);
	}
}

/*
 * Each child has some 40 level-1 tables, most of them its own; some children
 * end by themselves, others are killed, all at about the same time.
 */
void test_mm_drop(void)
{
	const size_t tables = 40;
	const unsigned int children = 2 * nr_cpus < 16 ? 2 * nr_cpus : 16;
	char *mem = map(tables * PMD, PROT_READ | PROT_WRITE);
	pid_t pids[16];

	small_pages(mem, tables * PMD);
	for (uint32_t gen = 1; more(); gen++) {
		int gate[2];

		if (pipe(gate))
			fail_errno("pipe");
		for (size_t i = 0; i < tables; i += 2)
			fill(mem + i * PMD, 1, i, gen);
		for (unsigned int child = 0; child < children; child++) {
			char c;

			pids[child] = spawn();
			if (pids[child])
				continue;
			pin(child);
			close(gate[1]);
			for (size_t i = 0; i < tables; i++) {
				if (i % 2 == 0)
					verify(mem + i * PMD, 1, i, gen, "child");
				fill(mem + i * PMD, 1, i, gen + 1 + child);
			}
			/* Until the parent closes the other end. */
			if (read(gate[0], &c, 1))
				fail("unexpected data in a pipe");
			for (size_t i = 0; i < tables; i++)
				verify(mem + i * PMD, 1, i, gen + 1 + child,
				       "child at the gate");
			_exit(0);
		}
		close(gate[0]);
		for (unsigned int child = 0; child < children; child += 3)
			kill(pids[child], SIGKILL);
		close(gate[1]);
		for (unsigned int child = 0; child < children; child++)
			reap_killed(pids[child]);
		for (size_t i = 0; i < tables; i += 2)
			verify(mem + i * PMD, 1, i, gen, "parent");
	}
}
