// SPDX-License-Identifier: GPL-2.0-only
/* ACPI NVS that was where Xen put the kernel, and was moved. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

/* scripts/guest/mkxen fills it with words that are this ^ their machine address. */
#define PATTERN	0x6d656d6d61700000ULL

/* Finds the words of a page in the range, end exclusive; returns their number. */
static size_t read_words(int fd, uint64_t start, uint64_t end, uint64_t *words)
{
	uint64_t page_end = (start / PAGE + 1) * PAGE;
	size_t size = (end < page_end ? end : page_end) - start;

	if (pread(fd, words, size, start) != (ssize_t)size)
		fail_errno("pread of /dev/mem at %#lx", start);
	return size / sizeof(*words);
}

static void check_range(int fd, uint64_t start, uint64_t end)
{
	uint64_t words[PAGE / sizeof(uint64_t)];
	uint64_t moved_by = 0;
	size_t nr;

	for (uint64_t at = start; at < end; at += nr * sizeof(*words)) {
		nr = read_words(fd, at, end, words);
		if (at == start)
			moved_by = start - (words[0] ^ PATTERN);
		for (size_t i = 0; i < nr; i++) {
			uint64_t machine = at + i * sizeof(*words) - moved_by;

			if (words[i] != (PATTERN ^ machine))
				fail("%#lx is read at %#lx, of machine address %#lx",
				     words[i], machine + moved_by, machine);
		}
	}
	if (!moved_by || moved_by % PAGE)
		fail("the range at %#lx has moved by %#lx", start, moved_by);
}

void test_nonram(void)
{
	char *text = slurp("/proc/iomem"), *rest;
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	unsigned int ranges = 0;

	if (!text)
		fail_errno("/proc/iomem");
	for (char *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		uint64_t start, last;

		if (!strstr(line, " : ACPI Non-volatile Storage"))
			continue;
		if (sscanf(line, " %lx-%lx", &start, &last) != 2)
			fail("/proc/iomem has a line '%s'", line);
		if (fd < 0)
			fail_errno("/dev/mem");
		check_range(fd, start, last + 1);
		ranges++;
	}
	free(text);
	if (!ranges)
		skip("no ACPI NVS");
	close(fd);
}
