// SPDX-License-Identifier: GPL-2.0-only
/* mremap(): page by page, by whole tables, larger and smaller. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

static char *move(char *from, size_t old_size, size_t new_size, char *to)
{
	char *mem = mremap(from, old_size, new_size,
			   to ? MREMAP_MAYMOVE | MREMAP_FIXED : MREMAP_MAYMOVE,
			   to);

	if (mem == MAP_FAILED)
		fail_errno("mremap(%p, %#zx, %#zx, %p)", from, old_size,
			   new_size, to);
	if (to && mem != to)
		fail("mremap to %p went to %p", to, mem);
	return mem;
}

/* Not aligned to a table: the entries are moved one by one. */
void test_mremap_move(void)
{
	size_t size = fit(8 * MIB), pages = size / PAGE;
	char *here = map_aligned(size + PAGE, PMD) + PAGE;
	char *there = map_aligned(size + 3 * PAGE, PMD) + 3 * PAGE;

	fill(here, pages, 0, 0);
	for (uint32_t gen = 1; more(); gen++) {
		char *mem = move(here, size, size, there);

		must_fault(here, false, "first page moved away");
		must_fault(here + size - PAGE, true, "last page moved away");
		verify(mem, pages, 0, gen - 1, "moved");
		fill(mem, pages, 0, gen);
		there = here;
		here = mem;
	}
}

void test_mremap_grow(void)
{
	size_t max_pages = fit(8 * MIB) / PAGE;

	for (uint32_t gen = 1; more(); gen++) {
		size_t pages = 1 + rnd_below(max_pages / 2);
		size_t more_pages = pages + 1 + rnd_below(max_pages / 2);
		char *mem = map(pages * PAGE, PROT_READ | PROT_WRITE);

		fill(mem, pages, 0, gen);
		mem = move(mem, pages * PAGE, more_pages * PAGE, NULL);
		verify(mem, pages, 0, gen, "grown");
		for (size_t i = pages; i < more_pages; i++)
			if (!is_zero_page(mem + i * PAGE))
				fail("page %zu is not zero after growing", i);
		fill(mem, more_pages, 0, ~gen);
		mem = move(mem, more_pages * PAGE, pages * PAGE, NULL);
		verify(mem, pages, 0, ~gen, "shrunk");
		must_fault(mem + pages * PAGE, false, "cut off");
		unmap(mem, pages * PAGE);
	}
}

/* Writes one page in @step bytes, so that few pages need many tables. */
static void fill_step(char *mem, size_t size, size_t step, uint32_t gen)
{
	for (size_t at = 0; at < size; at += step)
		fill(mem + at, 1, at / PAGE, gen);
}

static void verify_step(char *mem, size_t size, size_t step, uint32_t gen,
			const char *what)
{
	for (size_t at = 0; at < size; at += step)
		verify(mem + at, 1, at / PAGE, gen, what);
}

/* A child that keeps reading its inherited pages, in tables of its own. */
static pid_t spawn_reader(char *mem, size_t size, size_t step, uint32_t gen)
{
	pid_t pid = spawn();

	if (pid)
		return pid;
	verify_step(mem, size, step, gen, "child");
	verify_step(mem, size, step, gen, "child, again");
	_exit(0);
}

/*
 * Source, destination and size are multiples of @align, which lets the kernel
 * link tables to another entry instead of copying their contents. Sometimes all
 * pages are shared with a child, and must be copied on a write.
 */
static void move_tables(size_t size, size_t align, size_t step)
{
	char *here = map_aligned(size, align);
	char *there = map_aligned(size, align);

	small_pages(here, size);
	fill_step(here, size, step, 0);
	for (uint32_t gen = 1; more(); gen++) {
		char *mem;
		pid_t pid = 0;

		if (gen % 4 == 1)
			pid = spawn_reader(here, size, step, gen - 1);
		mem = move(here, size, size, there);
		must_fault(here, false, "first page moved away");
		must_fault(here + size - step, true, "last page moved away");
		verify_step(mem, size, step, gen - 1, "moved");
		fill_step(mem, size, step, gen);
		verify_step(mem, size, step, gen, "written");
		protect(mem, size, PROT_READ);
		must_fault(mem + rnd_below(size / step) * step, true,
			   "moved and read-only");
		protect(mem, size, PROT_READ | PROT_WRITE);
		verify_step(mem, size, step, gen, "writable again");
		if (pid)
			reap(pid);
		there = here;
		here = mem;
	}
}

void test_mremap_table(void)
{
	size_t size = fit(8 * MIB);

	if (size < PMD)
		skip("less than 2 MiB to spare");
	move_tables(size - size % PMD, PMD, PAGE);
}

void test_mremap_pud(void)
{
	move_tables(2 * PUD, PUD, 64 * PMD);
}
