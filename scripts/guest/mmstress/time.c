// SPDX-License-Identifier: GPL-2.0-only
/* Prints the time of a few operations, for a person to read. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmstress.h"

#define SECONDS		0.4	/* for each operation */

static char *mem;
static size_t size;

static void fork_exit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void fork_exec(void)
{
	char *argv[] = { "mmstress", "exec-child", "0", "0", NULL };
	pid_t pid = fork();

	if (!pid) {
		execv("/proc/self/exe", argv);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static void touch(void)
{
	for (size_t at = 0; at < size; at += PAGE)
		((volatile char *)mem)[at] = 1;
}

static void fault(void)
{
	madvise(mem, size, MADV_DONTNEED);
	touch();
}

static void protect_and_back(void)
{
	mprotect(mem, size, PROT_READ);
	mprotect(mem, size, PROT_READ | PROT_WRITE);
}

static void move_away(void)
{
	void *to = mremap(mem, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
			  NULL);

	if (to == MAP_FAILED)
		return;
	munmap(mem, size);
	mem = to;
}

static const struct operation {
	const char *name;
	void (*run)(void);
	size_t size;		/* memory touched before */
	unsigned int per;	/* the time is divided by this */
} operations[] = {
	{ "fork + exit", fork_exit, PAGE, 1 },
	{ "fork + exit, 16 MiB touched", fork_exit, 16 * MIB, 1 },
	{ "fork + exec + exit", fork_exec, PAGE, 1 },
	{ "page fault", fault, MIB, MIB / PAGE },
	{ "mprotect 4 KiB and back", protect_and_back, PAGE, 1 },
	{ "mprotect 8 MiB and back", protect_and_back, 8 * MIB, 1 },
	{ "mremap 8 MiB", move_away, 8 * MIB, 1 },
};

static void time_operation(const struct operation *op)
{
	unsigned long count = 0;
	double start, seconds;

	size = fit(op->size);
	mem = map(size, PROT_READ | PROT_WRITE);
	small_pages(mem, size);
	touch();
	op->run();
	start = now();
	do {
		op->run();
		count++;
		seconds = now() - start;
	} while (seconds < SECONDS);
	printf("  %-30s %10.1f us\n", op->name, seconds * 1e6 / count / op->per);
	munmap(mem, size);
}

void time_operations(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(operations); i++)
		time_operation(&operations[i]);
}
