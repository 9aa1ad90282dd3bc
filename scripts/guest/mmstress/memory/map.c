// SPDX-License-Identifier: GPL-2.0-only
/* Mapping, touching and unmapping at near and distant addresses. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

struct area {
	char *mem;
	size_t pages;
	uint32_t gen;
};

static void area_map(struct area *area, size_t max_pages, uint32_t gen)
{
	area->pages = 1 + rnd_below(max_pages);
	area->gen = gen;
	area->mem = map(area->pages * PAGE, PROT_READ | PROT_WRITE);
	if (!is_zero_page(area->mem + rnd_below(area->pages) * PAGE))
		fail("a new page is not zero");
	fill(area->mem, area->pages, 0, gen);
}

static void area_unmap(struct area *area)
{
	size_t hole = rnd_below(area->pages);
	char *at = area->mem + hole * PAGE;

	verify(area->mem, area->pages, 0, area->gen, "before unmapping");
	unmap(at, PAGE);
	must_fault(at, false, "hole");
	verify(area->mem, hole, 0, area->gen, "before the hole");
	verify(at + PAGE, area->pages - hole - 1, hole + 1, area->gen,
	       "after the hole");
	unmap(area->mem, area->pages * PAGE);
	must_fault(area->mem, true, "unmapped area");
	area->mem = NULL;
}

void test_mmap(void)
{
	struct area areas[16] = { 0 };
	size_t max_pages = fit(16 * MIB) / PAGE / ARRAY_SIZE(areas);

	for (uint32_t gen = 1; more(); gen++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(areas); i++) {
			struct area *area = &areas[rnd_below(ARRAY_SIZE(areas))];

			if (area->mem)
				area_unmap(area);
			else
				area_map(area, max_pages, gen);
		}
	}
}

/* Picks another address if something, such as the stack, is there already. */
static char *map_at(uintptr_t addr)
{
	char *mem;

	for (;; addr -= GIB) {
		mem = mmap((void *)addr, PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			   -1, 0);
		if (mem != MAP_FAILED)
			break;
		if (errno != EEXIST)
			fail_errno("mmap at %#lx", addr);
	}
	if ((uintptr_t)mem != addr)
		fail("mmap at %#lx gave %p", addr, mem);
	return mem;
}

/*
 * Every page needs tables of its own on all levels below the top. A hint above
 * 47 bits requests the upper part of a five-level address space.
 */
void test_sparse(void)
{
	const unsigned int count = 24, top_bit = paging_levels() == 5 ? 56 : 47;
	const uintptr_t end = (1UL << top_bit) - PAGE;
	char *pages[24];

	for (uint32_t gen = 1; more(); gen++) {
		pid_t pid;

		for (unsigned int i = 0; i < count; i++) {
			/* The program and its stack are near the two ends. */
			uintptr_t addr = (8 + i * 8UL) * PGD;

			if (i % 4 == 3)
				addr = end / (count + 1) * i & -PUD;
			addr += rnd_below(512) * PMD + rnd_below(512) * PAGE;
			pages[i] = map_at(i ? addr : end - PAGE);
			if (!is_zero_page(pages[i]))
				fail("new page at %p is not zero", pages[i]);
			fill(pages[i], 1, i, gen);
		}
		pid = spawn();
		for (unsigned int i = 0; i < count; i++) {
			verify(pages[i], 1, i, gen, pid ? "parent" : "child");
			fill(pages[i], 1, i, gen + !pid);
			verify(pages[i], 1, i, gen + !pid, "written again");
		}
		if (!pid)
			_exit(0);
		reap(pid);
		for (unsigned int i = 0; i < count; i++) {
			verify(pages[i], 1, i, gen, "parent at the end");
			unmap(pages[i], PAGE);
			must_fault(pages[i], false, "unmapped page");
		}
	}
}

/* A five-level kernel returns addresses above 47 bits on request. */
int paging_levels(void)
{
	char *hint = (char *)(1UL << 52);
	char *mem = mmap(hint, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	int levels = (uintptr_t)mem >> 47 ? 5 : 4;

	if (mem == MAP_FAILED)
		return 0;
	munmap(mem, PAGE);
	return levels;
}
