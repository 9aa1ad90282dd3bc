// SPDX-License-Identifier: GPL-2.0-only
/* How a test, or any process or thread that it started, reports its result. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mmstress.h"

/* Shared with the runner. */
static struct report *report;

/* Each process of a test has its own copy. */
static double deadline;
static bool started;

void report_to(struct report *to)
{
	report = to;
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void set_time(double seconds)
{
	deadline = now() + seconds;
	started = false;
}

double seconds_left(void)
{
	double left = deadline - now();

	return left > 0 ? left : 0;
}

bool more(void)
{
	if (started && now() >= deadline)
		return false;
	started = true;
	atomic_fetch_add(&report->rounds, 1);
	return true;
}

bool raise_verdict(_Atomic int *verdict, enum verdict to)
{
	int known = atomic_load(verdict);

	while (known < (int)to)
		if (atomic_compare_exchange_weak(verdict, &known, to))
			return true;
	return false;
}

/*
 * The first process that reports ends all processes of the test. A failure in the
 * meantime counts as well if the first one only skips.
 */
static __noreturn void conclude(enum verdict verdict, const char *fmt,
				va_list args, int err)
{
	char *reason = report ? report->reasons[verdict].text : NULL;
	size_t size = sizeof(report->reasons[verdict].text);
	int len;

	if (!report) {
		vfprintf(stderr, fmt, args);
		fprintf(stderr, err ? ": %s\n" : "\n", strerror(err));
		exit(1);
	}
	if (!raise_verdict(&report->verdict, verdict))
		for (;;)
			pause();
	len = vsnprintf(reason, size, fmt, args);
	if (err && len >= 0 && (size_t)len < size)
		snprintf(reason + len, size - len, ": %s", strerror(err));
	kill(0, SIGKILL);
	for (;;)
		pause();
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	conclude(VERDICT_FAIL, fmt, args, 0);
}

void fail_errno(const char *fmt, ...)
{
	int err = errno;
	va_list args;

	va_start(args, fmt);
	conclude(VERDICT_FAIL, fmt, args, err);
}

void skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	conclude(VERDICT_SKIP, fmt, args, 0);
}
