// SPDX-License-Identifier: GPL-2.0-only
/*
 * madvise() marks pages, or frees empty tables. Both happen in lazy MMU mode, where
 * a changed entry may be read again.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#ifndef MADV_COLD
#define MADV_COLD	20
#endif
#define WIDEN		"/sys/kernel/debug/xen_pv_mmu/widen_reclaim"

#define BLOCKS		1		/* of a table each */
#define THREADS		8
#define CONTENT		0x5a5a5a5a5a5a5a5aUL

void test_madv_free(void)
{
	size_t size = fit(1 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; more(); gen++) {
		fill(mem, pages, 0, gen);
		advise(mem, size, MADV_COLD);
		verify(mem, pages, 0, gen, "cold");
		advise(mem, size, MADV_FREE);
		/* Each page is unchanged or zero, until it is written to. */
		for (size_t i = 0; i < pages; i++)
			if (!is_zero_page(mem + i * PAGE))
				verify(mem + i * PAGE, 1, i, gen, "freed");
		fill(mem, pages, 0, ~gen);
		verify(mem, pages, 0, ~gen, "written to after that");
		advise(mem, size, MADV_FREE);
		if (gen % 8 == 0)
			advise(mem, size, MADV_DONTNEED);
	}
}

static char *area;
static atomic_bool stop;

static void *use_and_discard(void *arg)
{
	unsigned int seed = (uintptr_t)arg * 7919 + 1;

	while (!atomic_load(&stop)) {
		char *block = area + (rand_r(&seed) % BLOCKS) * PMD;
		unsigned int step = 1 + rand_r(&seed) % 8;

		for (size_t at = 0; at < PMD; at += step * PAGE) {
			volatile uint64_t *word = (void *)(block + at);
			uint64_t seen = *word;

			if (seen && seen != CONTENT)
				fail("a page holds %#lx", (unsigned long)seen);
			*word = CONTENT;
		}
		advise(block, PMD, MADV_DONTNEED);
	}
	return NULL;
}

/* A process of its own: a double free shows in its counts when it ends. */
static void reclaim_for(double seconds)
{
	size_t size = (BLOCKS + 1) * PMD;
	pthread_t ids[THREADS];
	double end = now() + seconds;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	area = (char *)(((uintptr_t)mem + PMD - 1) & -PMD);
	for (size_t i = 0; i < THREADS; i++)
		if (pthread_create(&ids[i], NULL, use_and_discard, (void *)i))
			fail("no thread");
	while (now() < end)
		usleep(10000);
	atomic_store(&stop, true);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	munmap(mem, size);
}

/* The test "dmesg" judges the kernel's messages. */
void test_table_reclaim(void)
{
	bool widened = write_text(WIDEN, "1");

	while (more()) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			fail_errno("fork");
		if (!pid) {
			reclaim_for(seconds_left() < 3 ? seconds_left() : 3);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			fail("a process that discards memory ended with %#x", status);
	}
	if (widened && !write_text(WIDEN, "0"))
		fail_errno("%s", WIDEN);
}
