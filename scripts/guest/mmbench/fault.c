// SPDX-License-Identifier: GPL-2.0-only
/* Page faults: new memory, files, copy on write. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmbench.h"

#define ANON		(2 * MIB)
#define COW		(2 * MIB)
#define FILE_SIZE	(4 * MIB)
#define AROUND		(16 * PAGE)	/* the pages that one fault of a file maps */

static char *mem;
static int file;
static pid_t sharer;

static void get_anon(void)
{
	mem = map(ANON);
	touch(mem, ANON, PAGE);
}

static void empty_anon(void)
{
	must(!madvise(mem, ANON, MADV_DONTNEED), "madvise");
}

static void fault_anon(void)
{
	touch(mem, ANON, PAGE);
}

static void drop_anon(void)
{
	unmap(mem, ANON);
}

static char *map_file(void)
{
	char *at = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, file, 0);

	must(at != MAP_FAILED, "mmap");
	return at;
}

static void get_file(void)
{
	file = cached_file(FILE_SIZE);
	mem = map_file();
}

static void empty_file(void)
{
	must(!madvise(mem, FILE_SIZE, MADV_DONTNEED), "madvise");
}

static void fault_file(void)
{
	peek(mem, FILE_SIZE, AROUND);
}

static void drop_file(void)
{
	unmap(mem, FILE_SIZE);
	close(file);
}

static void open_file(void)
{
	file = cached_file(FILE_SIZE);
}

static void read_file(void)
{
	char *at = map_file();

	peek(at, FILE_SIZE, PAGE);
	unmap(at, FILE_SIZE);
}

static void close_file(void)
{
	close(file);
}

/* All pages belong to the parent alone, then a child shares them. */
static void share(void)
{
	touch(mem, COW, PAGE);
	sharer = fork();
	must(sharer >= 0, "fork");
	if (!sharer)
		for (;;)
			pause();
}

static void unshare_by_writing(void)
{
	touch(mem, COW, PAGE);
}

static void end_sharer(void)
{
	kill(sharer, SIGKILL);
	reap(sharer);
}

static void get_cow(void)
{
	mem = map(COW);
}

static void drop_cow(void)
{
	unmap(mem, COW);
}

const struct operation fault_operations[] = {
	{ .name = "fault-anon", .what = "one page fault, new page",
	  .start = get_anon, .before = empty_anon, .run = fault_anon, .end = drop_anon,
	  .rounds = 4, .loops = 1, .units = ANON / PAGE },
	{ .name = "fault-file", .what = "one page fault, 16 pages of a cached file",
	  .start = get_file, .before = empty_file, .run = fault_file, .end = drop_file,
	  .rounds = 8, .loops = 1, .units = FILE_SIZE / AROUND },
	{ .name = "fault-cow", .what = "one page fault, copy on write",
	  .start = get_cow, .before = share, .run = unshare_by_writing,
	  .after = end_sharer, .end = drop_cow,
	  .rounds = 2, .loops = 1, .units = COW / PAGE },
	{ .name = "mmap-read", .what = "mmap, read and munmap 4 MiB of a cached file",
	  .start = open_file, .run = read_file, .end = close_file,
	  .rounds = 1, .loops = 8, .units = 1 },
};

const size_t fault_count = ARRAY_SIZE(fault_operations);
