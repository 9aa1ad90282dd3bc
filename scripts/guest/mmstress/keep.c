// SPDX-License-Identifier: GPL-2.0-only
/*
 * A load for a guest that is paused, saved, moved and resumed: processes that
 * fork and map all the time, and memory that must keep its contents meanwhile.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmstress.h"

#define SHARED	(16 * PAGE)

struct keeper {
	char *data;		/* changes with every beat */
	size_t pages;
	char *none;		/* inaccessible, written once */
	size_t none_pages;
	char *shared;		/* written by the children */
	uint32_t first;		/* number of the first page of data */
	uint32_t none_first;
};

static void start(struct keeper *keeper, unsigned int id, size_t size)
{
	keeper->pages = size / PAGE / 2;
	keeper->none_pages = size / PAGE / 4;
	keeper->first = id << KEEP_SHIFT;
	keeper->none_first = KEEP_NONE + (id << KEEP_SHIFT);
	keeper->data = map(keeper->pages * PAGE, PROT_READ | PROT_WRITE);
	keeper->none = map(keeper->none_pages * PAGE, PROT_READ | PROT_WRITE);
	keeper->shared = map_file(-1, SHARED, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS);
	fill(keeper->data, keeper->pages, keeper->first, 0);
	fill(keeper->none, keeper->none_pages, keeper->none_first, KEEP_GEN);
	protect(keeper->none, keeper->none_pages * PAGE, PROT_NONE);
}

/* Memory that is mapped and unmapped, so that tables are allocated and freed. */
static void churn(uint32_t gen)
{
	char *mem = map(PMD, PROT_READ | PROT_WRITE);

	for (size_t at = 0; at < PMD; at += 64 * PAGE)
		fill(mem + at, 1, 0, gen);
	protect(mem, PMD, PROT_READ);
	for (size_t at = 0; at < PMD; at += 64 * PAGE)
		verify(mem + at, 1, 0, gen, "short-lived");
	unmap(mem, PMD);
}

static __noreturn void child(const struct keeper *keeper, uint32_t gen)
{
	size_t half = keeper->pages / 2;

	verify(keeper->data, keeper->pages, keeper->first, gen, "in a child");
	fill(keeper->data, half, keeper->first, ~gen);
	fill(keeper->shared, SHARED / PAGE, keeper->first, gen);
	must_fault(keeper->none, false, "inaccessible, in a child");
	churn(gen);
	verify(keeper->data, half, keeper->first, ~gen, "a child's own");
	_exit(0);
}

static void beat(const struct keeper *keeper, uint32_t gen)
{
	size_t none_size = keeper->none_pages * PAGE;
	pid_t pid = spawn();

	if (!pid)
		child(keeper, gen);
	verify(keeper->data, keeper->pages, keeper->first, gen, "kept");
	must_fault(keeper->none + none_size - PAGE, true, "inaccessible");
	reap(pid);
	verify(keeper->shared, SHARED / PAGE, keeper->first, gen, "shared");
	protect(keeper->none, none_size, PROT_READ);
	verify(keeper->none, keeper->none_pages, keeper->none_first, KEEP_GEN,
	       "was inaccessible");
	protect(keeper->none, none_size, PROT_NONE);
	fill(keeper->data, keeper->pages, keeper->first, gen + 1);
}

static __noreturn void keeper_main(unsigned int id, size_t size,
				   _Atomic uint32_t *beats)
{
	struct keeper keeper;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start(&keeper, id, size);
	for (uint32_t gen = 0;; gen++) {
		beat(&keeper, gen);
		atomic_fetch_add(beats, 1);
	}
}

/* A file with a 32-bit word for each process, which counts its rounds. */
static _Atomic uint32_t *counters(const char *path, unsigned int nr)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	void *mem;

	if (fd < 0 || ftruncate(fd, nr * sizeof(uint32_t)))
		fail_errno("%s", path);
	mem = map_file(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	close(fd);
	return mem;
}

void keep(size_t size, const char *path)
{
	unsigned int nr = nr_cpus + 1;
	_Atomic uint32_t *beats = counters(path, nr);

	/* The number of pages that another domain can search for. */
	printf("%zu\n", nr * (size / nr / PAGE / 4));
	for (unsigned int i = 0; i < nr; i++)
		if (!spawn())
			keeper_main(i, size / nr, &beats[i]);
	/* A process ends only after it has found and reported an error. */
	waitpid(-1, NULL, 0);
}
