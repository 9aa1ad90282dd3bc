// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares the direct map, as the kernel dumps it, with the use of each frame:
 * pinned tables are read-only there, other memory is not, and all is cached.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define DUMP	"/sys/kernel/debug/page_tables/kernel"
#define START	"---[ Low Kernel Mapping ]---\n"

/* Bits of /proc/kpageflags; the last one marks tables pinned by Xen. */
#define KPF_LRU		(1ULL << 5)
#define KPF_SLAB	(1ULL << 7)
#define KPF_BUDDY	(1ULL << 10)
#define KPF_ANON	(1ULL << 12)
#define KPF_PGTABLE	(1ULL << 26)
#define KPF_OWN		(1ULL << 37)
#define KPF_PINNED	(KPF_PGTABLE | KPF_OWN)
#define KPF_MEMORY	(KPF_SLAB | KPF_LRU | KPF_BUDDY | KPF_ANON)

/* Tables of level 1 that the test creates, and those that stay. */
#define SPOTS	64UL
#define LEFT	(SPOTS / 2)

/* The error of a frame. A table that is not pinned may be writable. */
enum { WRITABLE_TABLE = 1, READ_ONLY_MEMORY = 2, NOT_CACHED = 4 };

/* Frames change their use during the test: an error must show each time. */
#define LOOKS	8

struct frames {
	unsigned long nr;
	uint64_t *flags;	/* the use of each frame */
	unsigned char *wrong;
	unsigned long tables, read_only;
};

static void read_flags(uint64_t *flags, unsigned long nr)
{
	const size_t size = nr * sizeof(*flags);
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t got;

	if (fd < 0)
		skip("no /proc/kpageflags");
	memset(flags, 0, size);
	while ((got = pread(fd, (char *)flags + done, size - done, done)) > 0)
		done += got;
	close(fd);
	if (!done)
		fail_errno("/proc/kpageflags");
}

static unsigned char judge(uint64_t flags, bool writable, bool cached)
{
	unsigned char wrong = 0;

	if ((flags & KPF_PINNED) == KPF_PINNED && writable)
		wrong |= WRITABLE_TABLE;
	if (flags & KPF_MEMORY && !writable)
		wrong |= READ_ONLY_MEMORY;
	if (flags & (KPF_MEMORY | KPF_PGTABLE) && !cached)
		wrong |= NOT_CACHED;
	return wrong;
}

/* Lines are "0xSTART-0xEND SIZE BITS LEVEL", without bits if nothing is mapped. */
static void judge_line(struct frames *now, const char *line, unsigned long base)
{
	unsigned long start, end;
	bool writable = strstr(line, " RW ");
	bool cached = !strstr(line, " PCD ") && !strstr(line, " PWT ") &&
		      !strstr(line, " PAT ");

	if (sscanf(line, "0x%lx-0x%lx", &start, &end) != 2)
		fail("the dump has a line '%s'", line);
	if (!writable && !strstr(line, " ro "))
		return;
	for (unsigned long pfn = (start - base) / PAGE;
	     pfn < (end - base) / PAGE && pfn < now->nr; pfn++) {
		now->wrong[pfn] = judge(now->flags[pfn], writable, cached);
		now->tables += (now->flags[pfn] & KPF_PINNED) == KPF_PINNED;
		now->read_only += !writable;
	}
}

static void judge_dump(struct frames *now)
{
	char *text = slurp(DUMP), *at, *rest;
	unsigned long base = 0;

	if (!text)
		skip("no %s", DUMP);
	at = strstr(text, START);
	if (!at || sscanf(at + strlen(START), "0x%lx", &base) != 1)
		fail("the dump has no direct map");
	/* The first line may be of a later page than the first one. */
	base &= -PUD;
	for (char *line = strtok_r(at + strlen(START), "\n", &rest);
	     line && line[0] == '0'; line = strtok_r(NULL, "\n", &rest))
		judge_line(now, line, base);
	free(text);
}

/* Keeps in @wrong the errors seen now and before; returns the number of frames. */
static unsigned long look(struct frames *now, unsigned char *wrong)
{
	uint64_t *flags = calloc(now->nr, sizeof(*flags));
	unsigned long left = 0;

	if (!flags)
		abort();
	memset(now->wrong, 0, now->nr);
	now->tables = 0;
	now->read_only = 0;
	read_flags(now->flags, now->nr);
	judge_dump(now);
	read_flags(flags, now->nr);
	for (unsigned long pfn = 0; pfn < now->nr; pfn++) {
		wrong[pfn] &= flags[pfn] == now->flags[pfn] ? now->wrong[pfn] : 0;
		left += !!wrong[pfn];
	}
	free(flags);
	return left;
}

static void check(unsigned long nr)
{
	struct frames now = {
		.nr = nr,
		.flags = calloc(nr, sizeof(*now.flags)),
		.wrong = calloc(nr, 1),
	};
	unsigned char *wrong = malloc(nr);
	unsigned long left = nr;

	if (!now.flags || !now.wrong || !wrong)
		abort();
	memset(wrong, ~0, nr);
	for (unsigned int i = 0; i < LOOKS && left; i++)
		left = look(&now, wrong);
	for (unsigned long pfn = 0; left && pfn < nr; pfn++)
		if (wrong[pfn])
			fail("%lu frames, the first is %#lx: %s, used as %#lx", left,
			     pfn, wrong[pfn] & WRITABLE_TABLE ? "a writable table" :
			     wrong[pfn] & READ_ONLY_MEMORY ? "read-only memory" :
			     "not cached", now.flags[pfn]);
	if (now.tables < LEFT || now.read_only < now.tables)
		fail("of %lu frames, %lu are tables and %lu read-only", nr,
		     now.tables, now.read_only);
	free(now.flags);
	free(now.wrong);
	free(wrong);
}

/* A process with many tables, half of which are freed before the check. */
static char *make_tables(void)
{
	char *mem = map_aligned(SPOTS * PMD, PMD);
	pid_t pid;

	small_pages(mem, SPOTS * PMD);
	for (size_t spot = 0; spot < SPOTS; spot++)
		fill(mem + spot * PMD, 1, spot, 1);
	pid = spawn();
	if (!pid)
		_exit(0);
	reap(pid);
	unmap(mem + LEFT * PMD, (SPOTS - LEFT) * PMD);
	for (size_t spot = 0; spot < LEFT; spot++)
		verify(mem + spot * PMD, 1, spot, 1, "beside unmapped ones");
	return mem;
}

void test_direct_map(void)
{
	if (!is_rust_backend())
		skip("only for the Rust backend");
	while (more()) {
		char *mem = make_tables();

		check(end_of_frames());
		unmap(mem, LEFT * PMD);
	}
}
