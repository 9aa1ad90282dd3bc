// SPDX-License-Identifier: GPL-2.0-only
/* The kernel merges equal pages, and a write must split them again. */
#include <sys/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define KSM	"/sys/kernel/mm/ksm/"
#define COPIES	4UL
#define PAGES	32UL
#define SIZE	(PAGES * PAGE)

/* Time limit for a merge: ksmd is a nice thread, and starves under load. */
#define MERGE_SECONDS	40

static long ksm_number(const char *path)
{
	char text[32];

	return read_text(path, text, sizeof(text)) ? atol(text) : -1;
}

static void ksm_set(const char *path, const char *value)
{
	if (!write_text(path, value))
		fail_errno("write of %s to %s", value, path);
}

void test_ksm(void)
{
	char *copies[COPIES];

	if (ksm_number(KSM "run") < 0)
		skip("no KSM in this kernel");
	ksm_set(KSM "pages_to_scan", "1000");
	ksm_set(KSM "sleep_millisecs", "1");
	for (uint32_t gen = 1; more(); gen++) {
		double limit = now() + MERGE_SECONDS;

		for (size_t i = 0; i < COPIES; i++) {
			copies[i] = map(SIZE, PROT_READ | PROT_WRITE);
			small_pages(copies[i], SIZE);
			fill(copies[i], PAGES, 0, gen);
			advise(copies[i], SIZE, MADV_MERGEABLE);
		}
		ksm_set(KSM "run", "1");
		while (ksm_number(KSM "pages_sharing") < (long)PAGES) {
			if (now() > limit)
				fail("no pages merged in %d s", MERGE_SECONDS);
			usleep(10000);
		}
		for (size_t i = 0; i < COPIES; i++)
			verify(copies[i], PAGES, 0, gen, "merged");
		fill(copies[0], PAGES, 0, ~gen);
		verify(copies[0], PAGES, 0, ~gen, "written after the merge");
		/* Stopping with 2 undoes all merges. */
		ksm_set(KSM "run", gen % 2 ? "2" : "0");
		for (size_t i = 1; i < COPIES; i++) {
			verify(copies[i], PAGES, 0, gen, "not written");
			unmap(copies[i], SIZE);
		}
		unmap(copies[0], SIZE);
	}
}
