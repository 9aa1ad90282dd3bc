/* SPDX-License-Identifier: GPL-2.0-only */
/* The measured memory operations, and their common helpers. */
#ifndef MMBENCH_H
#define MMBENCH_H

#include <stddef.h>
#include <sys/types.h>

#define PAGE		4096UL
#define MIB		(1024UL * 1024)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/*
 * A sample is the sum of `rounds` measured stretches, each with `loops` calls of
 * run(). Hooks may be NULL.
 */
struct operation {
	const char *name;
	const char *what;
	int (*usable)(void);	/* if it returns 0, the operation is skipped */
	void (*start)(void);	/* before the first sample */
	void (*before)(void);	/* before each stretch */
	void (*run)(void);
	void (*after)(void);	/* after each stretch */
	void (*end)(void);	/* after the last sample */
	unsigned int rounds;
	unsigned int loops;
	unsigned int units;	/* operations in one run() */
};

extern const struct operation process_operations[], fault_operations[],
	range_operations[], talk_operations[], p2m_operations[];
extern const size_t process_count, fault_count, range_count, talk_count,
	p2m_count;

/* Ends the program with the reason, if a call failed. */
void must(int ok, const char *what);

/* Anonymous memory, and its contents. */
char *map(size_t size);
void unmap(char *at, size_t size);
void touch(char *at, size_t size, size_t step);
void peek(const char *at, size_t size, size_t step);

/* A file of the page cache. */
int cached_file(size_t size);

/* Threads that sleep, so that the address space has several users. */
void add_threads(unsigned int count);
void end_threads(void);

/* Waits for a child, which must exit with 0 or be killed by us. */
void reap(pid_t pid);

#endif
