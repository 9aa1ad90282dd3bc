/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations of the kernel that fail on request: common helpers of the
 * fault-... tests.
 */
#ifndef INJECT_H
#define INJECT_H

#include <errno.h>

#include "../mmstress.h"

#define MAKE_IT_FAIL	"/proc/self/make-it-fail"

/* The number of refusals of one flush that the kernel reports one by one. */
#define MAX_FLUSH	8

/* The errors that Xen may return. */
static const int errors[] = { EPERM, ENOMEM, EFAULT, EBUSY, EINVAL };

/* A line of the kernel's log. */
struct refusal {
	char what[32];
	unsigned long target, value;
	char error[16];
	char caller[64];
};

/* A process that is not involved. */
struct witness {
	pid_t pid;
	int end;
};

/* Skips the test in a kernel without fault injection. */
void need_faults(void);
/* Sets one file of the kernel's fault injection. */
void set_fault(const char *kind, const char *name, unsigned long value);
/*
 * Makes @times operations of this task fail, from number @index on. @reports is
 * the number of lines that the kernel is expected to print.
 */
void arm(const char *kind, unsigned int index, unsigned int times, int error,
	 unsigned int reports);
/* Returns how many operations failed. */
unsigned int disarm(const char *kind, unsigned int times);

/*
 * Reads the reports since arm(): @expected refusals, and for a flush with more
 * than MAX_FLUSH that there were @expected_more.
 */
void expect_reports(struct refusal *reports, unsigned int expected,
		    unsigned int expected_more);
void expect_error(const struct refusal *r, const char *what, int error);
/* Counts a line about a failure from another part of the kernel. */
void count_report(void);
/* For the judge of the console, which counts the lines as well. */
void print_counts(void);

/* At the end the witness checks and writes its memory. */
struct witness call_witness(void);
void hear_witness(struct witness witness);

#endif /* INJECT_H */
