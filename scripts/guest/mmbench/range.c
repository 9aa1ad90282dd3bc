// SPDX-License-Identifier: GPL-2.0-only
/* Operations on ranges of memory. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmbench.h"

#define LARGE	(16 * MIB)
#define MOVED	(8 * MIB)
#define TABLE	(2 * MIB)	/* the reach of one table of level 1 */
#define LOCKED	(4 * MIB)
#define FEW	(16 * PAGE)

static char *mem, *area, *other;

static void get_large(void)
{
	mem = map(LARGE);
	touch(mem, LARGE, PAGE);
}

static void drop_large(void)
{
	unmap(mem, LARGE);
}

static void get_threads(void)
{
	add_threads(1);
}

static void protect(size_t size)
{
	must(!mprotect(mem, size, PROT_READ), "mprotect");
	must(!mprotect(mem, size, PROT_READ | PROT_WRITE), "mprotect");
}

static void protect_large(void)
{
	protect(LARGE);
}

static void protect_page(void)
{
	protect(PAGE);
}

/* A page between others that do not change, so that it is never merged. */
static void get_page(void)
{
	area = map(3 * PAGE);
	mem = area + PAGE;
	must(!mprotect(area, PAGE, PROT_NONE), "mprotect");
	must(!mprotect(mem + PAGE, PAGE, PROT_NONE), "mprotect");
	touch(mem, PAGE, PAGE);
}

static void drop_page(void)
{
	unmap(area, 3 * PAGE);
}

static void map_touch_unmap(void)
{
	char *at = map(FEW);

	touch(at, FEW, PAGE);
	unmap(at, FEW);
}

/* Two areas between which whole tables can move. */
static void get_moved(void)
{
	area = map(2 * MOVED + TABLE);
	mem = (char *)(((uintptr_t)area + TABLE - 1) & ~(TABLE - 1));
	other = mem + MOVED;
	unmap(area, 2 * MOVED + TABLE);
	must(mmap(mem, MOVED, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mem, "mmap");
	touch(mem, MOVED, PAGE);
}

static void move(void)
{
	char *from = mem;

	must(mremap(mem, MOVED, MOVED, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other,
	     "mremap");
	mem = other;
	other = from;
}

static void drop_moved(void)
{
	unmap(mem, MOVED);
}

static void get_unlocked(void)
{
	mem = map(LOCKED);
}

static void lock(void)
{
	must(!mlock(mem, LOCKED), "mlock");
}

static void drop_locked(void)
{
	unmap(mem, LOCKED);
}

static void touch_large(void)
{
	touch(mem, LARGE, PAGE);
}

static void discard(void)
{
	must(!madvise(mem, LARGE, MADV_DONTNEED), "madvise");
}

const struct operation range_operations[] = {
	{ .name = "mprotect-16m", .what = "mprotect 16 MiB, there and back",
	  .start = get_large, .run = protect_large, .end = drop_large,
	  .rounds = 1, .loops = 3, .units = 1 },
	{ .name = "mprotect-4k", .what = "mprotect 4 KiB, there and back",
	  .start = get_page, .run = protect_page, .end = drop_page,
	  .rounds = 1, .loops = 200, .units = 1 },
	{ .name = "munmap-16m", .what = "munmap 16 MiB touched",
	  .before = get_large, .run = drop_large,
	  .rounds = 3, .loops = 1, .units = 1 },
	{ .name = "munmap-16m-threads", .what = "the same in a process of two threads",
	  .start = get_threads, .before = get_large, .run = drop_large, .end = end_threads,
	  .rounds = 3, .loops = 1, .units = 1 },
	{ .name = "mmap-touch-16", .what = "mmap, touch 16 pages, munmap",
	  .run = map_touch_unmap, .rounds = 1, .loops = 50, .units = 1 },
	{ .name = "mremap-8m", .what = "mremap 8 MiB touched to another place",
	  .start = get_moved, .run = move, .end = drop_moved,
	  .rounds = 1, .loops = 100, .units = 1 },
	{ .name = "mlock-4m", .what = "mlock 4 MiB of new memory",
	  .before = get_unlocked, .run = lock, .after = drop_locked,
	  .rounds = 2, .loops = 1, .units = 1 },
	{ .name = "dontneed-16m", .what = "madvise MADV_DONTNEED 16 MiB touched",
	  .start = get_large, .before = touch_large, .run = discard, .end = drop_large,
	  .rounds = 2, .loops = 1, .units = 1 },
};

const size_t range_count = ARRAY_SIZE(range_operations);
