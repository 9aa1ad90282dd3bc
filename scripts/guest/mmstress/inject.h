/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of the kernel that fail on request: what the fault-... tests
 * have in common.
 */
#ifndef INJECT_H
#define INJECT_H

#include <errno.h>

#include "mmstress.h"

#define MAKE_IT_FAIL	"/proc/self/make-it-fail"

/* The kernel reports so many refusals of one flush one by one. */
#define MAX_FLUSH	8

/* What Xen may say. */
static const int errors[] = { EPERM, ENOMEM, EFAULT, EBUSY, EINVAL };

/* A line of the kernel's log. */
struct refusal {
	char what[32];
	unsigned long target, value;
	char error[16];
	char caller[64];
};

/* A process that has nothing to do with all this. */
struct witness {
	pid_t pid;
	int end;
};

/* Skips the test in a kernel without fault injection. */
void need_faults(void);
/* Sets one file of the kernel's fault injection. */
void set_fault(const char *kind, const char *name, unsigned long value);
/*
 * Lets @times operations of this task fail, from the one with number @index
 * on. @reports is how many lines the kernel is expected to print.
 */
void arm(const char *kind, unsigned int index, unsigned int times, int error,
	 unsigned int reports);
/* Returns how many operations failed. */
unsigned int disarm(const char *kind, unsigned int times);

/*
 * Reads what was reported since arm(): @expected refusals, and of a flush with
 * more than MAX_FLUSH that there were @expected_more.
 */
void expect_reports(struct refusal *reports, unsigned int expected,
		    unsigned int expected_more);
void expect_error(const struct refusal *r, const char *what, int error);
/* Counts a line that another part of the kernel prints of a failure. */
void count_report(void);
/* For the judge of the console: it counts the lines, too. */
void print_counts(void);

/* The witness compares and writes its memory in the end. */
struct witness call_witness(void);
void hear_witness(struct witness witness);

#endif /* INJECT_H */
