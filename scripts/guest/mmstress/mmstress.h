/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory-management tests for a PV guest, as seen from user space.
 *
 * A test is a function that returns on success and calls fail() or skip()
 * otherwise. The runner gives every test a process of its own, so a test may
 * leave mappings behind, crash, or hang: a crash or a hang is reported.
 */
#ifndef MMSTRESS_H
#define MMSTRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE	4096UL
#define KIB	1024UL
#define MIB	(1024UL * KIB)
#define GIB	(1024UL * MIB)
#define PMD	(2UL * MIB)		/* reach of one level-1 table */
#define PUD	(1UL * GIB)		/* reach of one level-2 table */
#define PGD	(512UL * GIB)		/* reach of one level-3 table */

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* test.c: the tests by name */

enum test_flags {
	TEST_SINGLE = 1,	/* changes something global: one such test at a time */
	TEST_ALONE = 2,		/* no other test may run */
	TEST_LAST = 4,		/* checks the results of the others */
	TEST_NAMED = 8,		/* makes the kernel complain: runs only by name */
};

struct test {
	const char *name;
	void (*run)(void);
	unsigned int flags;
	const char *what;
};

extern const struct test tests[];
extern const size_t nr_tests;

const struct test *find_test(const char *name);

/* run.c: one process per test, alone or on all CPUs at once */

struct plan {
	const struct test **tests;
	size_t nr;
	double seconds;		/* for all of them together */
	unsigned int workers;	/* 1: one test after the other */
};

/* Returns the number of tests that failed. */
unsigned int run_plan(const struct plan *plan);

/* report.c: how a test reports to the runner */

/* Of several, the last one in this order counts. */
enum verdict { VERDICT_PASS, VERDICT_SKIP, VERDICT_FAIL, NR_VERDICTS };

struct reason {
	char text[240];
};

struct report {
	_Atomic int verdict;
	_Atomic unsigned long rounds;
	struct reason reasons[NR_VERDICTS];
};

/* Returns whether @to is later in this order than the known result. */
bool raise_verdict(_Atomic int *verdict, enum verdict to);

#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __noreturn	__attribute__((noreturn))

void report_to(struct report *report);
void fail(const char *fmt, ...) __printf(1, 2) __noreturn;
void fail_errno(const char *fmt, ...) __printf(1, 2) __noreturn;
void skip(const char *fmt, ...) __printf(1, 2) __noreturn;

/* True at least once, then until the test's time is used up. */
bool more(void);
/* The rest of that time. */
double seconds_left(void);
void set_time(double seconds);

double now(void);

/* env.c: CPUs, memory and files of the machine */

void env_init(uint64_t seed);
/* The number of tests that share the memory, and the most that one may touch. */
void set_budget(unsigned int workers, size_t limit);
/* Bytes that a test may touch, at most @want, a whole number of pages. */
size_t fit(size_t want);
extern unsigned int nr_cpus;
/* Moves the calling thread to the n-th CPU, modulo the number of CPUs. */
void pin(unsigned int n);
uint64_t rnd(void);
unsigned long rnd_below(unsigned long limit);
void rnd_seed(uint64_t salt);

bool read_text(const char *path, char *buf, size_t size);
bool write_text(const char *path, const char *text);
/* Value of a "Name:   123 kB" line, in kB; -1 if there is none. */
long text_kb(const char *text, const char *name);
long meminfo_kb(const char *name);
bool cpu_has(const char *flag);
/* A text that may be large, to be freed by the caller; NULL if unreadable. */
char *slurp(const char *path);

/* pattern.c: contents that encode where and when they were written */

extern uint64_t pattern_seed;

void fill(void *mem, size_t pages, uint32_t first, uint32_t gen);
void verify(const void *mem, size_t pages, uint32_t first, uint32_t gen,
	    const char *what);
/* The word that fill() puts at the start of a page. */
uint64_t pattern_word(uint32_t page, uint32_t gen);
bool is_zero_page(const void *mem);
/* The number of the page that keep() made inaccessible and this may be, or -1. */
long kept_number(const uint64_t *page);

/* probe.c: accesses that may fault */

void probe_init(void);
/* The signal that the access raised, or 0. */
int try_read(const volatile void *addr);
int try_write(volatile void *addr);
int try_load(const volatile uint64_t *addr, uint64_t *value);
int try_store(volatile uint64_t *addr, uint64_t value);
int try_call(const void *addr, unsigned long arg1, unsigned long arg2,
	     unsigned long *result);
void must_fault(const volatile void *addr, bool write, const char *what);

/* wrap.c: system calls that are not expected to fail */

void *map(size_t size, int prot);
/* Aligned to @align, with as much unused address space after it. */
void *map_aligned(size_t size, size_t align);
void *map_file(int fd, size_t size, int prot, int flags);
void unmap(void *mem, size_t size);
void protect(void *mem, size_t size, int prot);
void advise(void *mem, size_t size, int advice);
void small_pages(void *mem, size_t size);
int tmpfs_file(size_t size);
pid_t spawn(void);
/* Waits for a child that must end well. */
void reap(pid_t pid);
/* Waits for a child that was killed on purpose. */
void reap_killed(pid_t pid);
/* A thread with a small stack. */
unsigned long thread(void *(*fn)(void *arg), void *arg);
void join(unsigned long id);

/* memory/pagemap.c */

#define PM_PFN		((1ULL << 55) - 1)
#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_SWAP		(1ULL << 62)
#define PM_PRESENT	(1ULL << 63)

uint64_t pagemap(const void *addr);
/* One more than the last frame of any zone. */
uint64_t end_of_frames(void);

/* busy.c: faults, changes of protection, a process, tables that come and go */

#define BUSY_PAGES	64UL		/* entries that are set, and changed twice */

void keep_busy(void);

/* kernel/hotplug.c */

/* Takes all CPUs but the first away, or brings them back. */
void set_others_online(bool online);

/* kernel/klog.c: the kernel's log as one text, to be freed by the caller */
char *read_klog(void);

/* complaint.c: the message in a line of the log, after "<4>[    1.234567] " */
const char *message(const char *line);
/* The rule that it breaks, or NULL. */
const char *complaint(const char *line);

/* memory/map.c: found by mapping, independent of the CPU's features */
int paging_levels(void);

/* keep.c: a load, and memory that another domain can search for */

#define KEEP_NONE	(1U << 24)	/* first number of inaccessible pages */
#define KEEP_SHIFT	16		/* bits of page numbers for each process */
#define KEEP_GEN	1
#define KEEP_MOST	(1UL << 20)	/* limit of the numbers of such pages */

/* Returns after an error. */
void keep(size_t size, const char *path);

/* facts.c, time.c, process/exec.c: other commands of main.c */
void print_facts(void);
bool is_rust_backend(void);
void time_operations(void);
int exec_child(int argc, char **argv);

#endif /* MMSTRESS_H */
