// SPDX-License-Identifier: GPL-2.0-only
/* Compares the kernel's files about page tables with known facts. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

/* Bits of /proc/kpageflags. */
#define KPF_MMAP	(1ULL << 11)
#define KPF_ANON	(1ULL << 12)

uint64_t pagemap(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (uintptr_t)addr / PAGE * sizeof(uint64_t);
	uint64_t entry;

	if (fd < 0)
		skip("no /proc/self/pagemap");
	if (pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		fail_errno("pread of /proc/self/pagemap");
	close(fd);
	return entry;
}

uint64_t end_of_frames(void)
{
	char *text = slurp("/proc/zoneinfo");
	uint64_t end = 0, spanned = 0;

	if (!text)
		fail_errno("/proc/zoneinfo");
	for (char *line = text; line; line = strchr(line, '\n')) {
		uint64_t n;

		line += *line == '\n';
		if (sscanf(line, " spanned %lu", &n) == 1)
			spanned = n;
		if (sscanf(line, " start_pfn: %lu", &n) == 1 && spanned &&
		    n + spanned > end)
			end = n + spanned;
	}
	free(text);
	return end;
}

static uint64_t frame_flags(uint64_t pfn)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t flags;

	if (fd < 0)
		fail_errno("/proc/kpageflags");
	if (pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) !=
	    sizeof(flags))
		fail("frame %#lx is unknown to /proc/kpageflags", pfn);
	close(fd);
	return flags;
}

static uint64_t frame_of(const char *page, uint64_t end)
{
	uint64_t entry = pagemap(page), pfn = entry & PM_PFN;

	if (!(entry & PM_PRESENT))
		fail("a touched page is not present: %#lx", entry);
	if (!pfn || pfn >= end)
		fail("frame %#lx is not below %#lx", pfn, end);
	return pfn;
}

/* The kernel may move a page at any time, so check more than once. */
static void check_flags(const char *page, uint64_t end)
{
	const uint64_t wanted = KPF_MMAP | KPF_ANON;
	uint64_t flags, pfn;

	for (unsigned int i = 0; i < 5; i++) {
		pfn = frame_of(page, end);
		flags = frame_flags(pfn);
		if ((flags & wanted) == wanted)
			return;
	}
	fail("frame %#lx is not an anonymous mapped page: flags %#lx", pfn, flags);
}

/* A child that found other frames than its parent: the kernel moved some. */
#define MOVED	3

static __noreturn void child_frames(char *mem, const uint64_t *frames,
				    size_t pages, uint64_t end)
{
	for (size_t i = 0; i < pages; i++)
		if (frame_of(mem + i * PAGE, end) != frames[i])
			_exit(MOVED);
	fill(mem, pages, 0, 3);
	for (size_t i = 0; i < pages; i++)
		if (frame_of(mem + i * PAGE, end) == frames[i])
			fail("page %zu was written but has the parent's frame", i);
	_exit(0);
}

/* Different from each other, the same in a child until it writes. */
static bool check_frames(char *mem, size_t pages, uint64_t end)
{
	uint64_t frames[64];
	int status;
	pid_t pid;

	for (size_t i = 0; i < pages; i++) {
		frames[i] = frame_of(mem + i * PAGE, end);
		for (size_t j = 0; j < i; j++)
			if (frames[i] == frames[j])
				fail("pages %zu and %zu have frame %#lx", j, i,
				     frames[i]);
	}
	pid = spawn();
	if (!pid)
		child_frames(mem, frames, pages, end);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		fail("a child did not end: status %#x", status);
	return WEXITSTATUS(status) != MOVED;
}

void test_pagemap(void)
{
	const size_t pages = 32, size = pages * PAGE;
	uint64_t end = end_of_frames();

	while (more()) {
		char *mem = map(size, PROT_READ | PROT_WRITE);
		unsigned int tries = 0;

		small_pages(mem, size);
		for (size_t i = 0; i < pages; i += 2)
			fill(mem + i * PAGE, 1, i, 1);
		for (size_t i = 1; i < pages; i += 2)
			if (pagemap(mem + i * PAGE) & PM_PRESENT)
				fail("page %zu is present but untouched", i);
		fill(mem, pages, 0, 2);
		for (size_t i = 0; i < pages; i++)
			check_flags(mem + i * PAGE, end);
		while (!check_frames(mem, pages, end))
			if (++tries == 5)
				fail("a child never has its parent's frames");
		verify(mem, pages, 0, 2, "parent");
		unmap(mem, size);
		if (pagemap(mem) & PM_PRESENT)
			fail("an unmapped page is present");
	}
}

static void clear_refs(const char *what)
{
	if (!write_text("/proc/self/clear_refs", what))
		skip("no /proc/self/clear_refs");
}

/* A line of a mapping in /proc/self/smaps, in kB. */
static long smaps_kb(const void *mem, const char *name)
{
	char *text = slurp("/proc/self/smaps"), start[20], *entry;
	long kb = -1;

	if (!text)
		skip("no /proc/self/smaps");
	snprintf(start, sizeof(start), "%lx-", (uintptr_t)mem);
	entry = strstr(text, start);
	if (entry)
		kb = text_kb(entry, name);
	free(text);
	if (kb < 0)
		fail("/proc/self/smaps has no %s for %p", name, mem);
	return kb;
}

static void touch_half(char *mem, size_t pages, bool write)
{
	for (size_t i = 0; i < pages; i += 2)
		if (write)
			try_write(mem + i * PAGE);
		else
			try_read(mem + i * PAGE);
}

/* No other mapping may touch it: its neighbours would merge with it. */
static char *lone_mapping(size_t size)
{
	char *mem = map(size + 2 * PAGE, PROT_NONE);

	mem += PAGE;
	protect(mem, size, PROT_READ | PROT_WRITE);
	small_pages(mem, size);
	return mem;
}

void test_accessed(void)
{
	const size_t pages = 256, size = pages * PAGE;
	char *mem = lone_mapping(size);

	for (uint32_t gen = 1; more(); gen++) {
		long kb;

		fill(mem, pages, 0, gen);
		clear_refs("1");
		kb = smaps_kb(mem, "Referenced");
		if (kb)
			fail("%ld kB still referenced after clearing", kb);
		/* Changing rights flushes the TLB, which caches the bit. */
		protect(mem, size, PROT_READ);
		protect(mem, size, PROT_READ | PROT_WRITE);
		touch_half(mem, pages, gen % 2);
		kb = smaps_kb(mem, "Referenced");
		if (kb != (long)(size / 2 / KIB))
			fail("%ld kB referenced, expected %lu", kb,
			     size / 2 / KIB);
		verify(mem, pages, 0, gen, "after clearing accessed bits");
	}
}

static bool have_soft_dirty(void)
{
	char *text = slurp("/proc/self/smaps");
	bool have = text && strstr(text, " sd");

	free(text);
	return have;
}

void test_soft_dirty(void)
{
	const size_t pages = 256, size = pages * PAGE;
	char *mem = lone_mapping(size);

	if (!have_soft_dirty())
		skip("no soft-dirty tracking in this kernel");
	for (uint32_t gen = 1; more(); gen++) {
		fill(mem, pages, 0, gen);
		clear_refs("4");
		for (size_t i = 0; i < pages; i++)
			if (pagemap(mem + i * PAGE) & PM_SOFT_DIRTY)
				fail("page %zu is soft-dirty after clearing", i);
		touch_half(mem, pages, true);
		/* The bits must survive a change of rights. */
		protect(mem, size, PROT_READ);
		verify(mem, pages, 0, gen, "after clearing soft-dirty bits");
		protect(mem, size, PROT_READ | PROT_WRITE);
		for (size_t i = 0; i < pages; i++) {
			bool dirty = pagemap(mem + i * PAGE) & PM_SOFT_DIRTY;

			if (dirty != (i % 2 == 0))
				fail("page %zu is %ssoft-dirty", i,
				     dirty ? "" : "not ");
		}
	}
}
