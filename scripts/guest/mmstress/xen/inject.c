// SPDX-License-Identifier: GPL-2.0-only
/* Makes operations of the kernel fail, and reads its reports. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inject.h"

#define FAULTS		"/sys/kernel/debug/xen_pv_mmu/"
#define MARK		"PVMMU: injected "

/* The kernel prints ten reports in five seconds. */
#define MAX_REPORTS	10
#define REPORT_SECONDS	5.5
#define REPORT	\
	"xen_pv_mmu: %31s of %lx <- %lx failed: -%15[A-Z0-9], called by %63s"

static unsigned int injected, reported, limit_used;
static double limit_start;

void set_fault(const char *kind, const char *name, unsigned long value)
{
	char path[96], text[24];

	snprintf(path, sizeof(path), FAULTS "%s/%s", kind, name);
	snprintf(text, sizeof(text), "%lu", value);
	if (!write_text(path, text))
		fail_errno("%s", path);
}

static unsigned int times_left(const char *kind)
{
	char path[96], text[24];

	snprintf(path, sizeof(path), FAULTS "%s/times", kind);
	if (!read_text(path, text, sizeof(text)))
		fail_errno("%s", path);
	return atoi(text);
}

/* Waits until the rate limit allows @n reports. */
static void wait_for_limit(unsigned int n)
{
	while (limit_used + n > MAX_REPORTS && now() - limit_start < REPORT_SECONDS)
		usleep(100000);
	if (now() - limit_start >= REPORT_SECONDS) {
		limit_start = now();
		limit_used = 0;
	}
	limit_used += n;
}

/* A task switch flushes the queue, so none may happen while operations fail. */
static void set_policy(int policy)
{
	const struct sched_param param = { .sched_priority = policy == SCHED_FIFO };

	if (sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &param))
		fail_errno("sched_setscheduler");
}

void arm(const char *kind, unsigned int index, unsigned int times, int error,
	 unsigned int reports)
{
	char text[96];

	wait_for_limit(reports);
	snprintf(text, sizeof(text), MARK "%s %u x%u %s\n", kind, index, times,
		 strerrorname_np(error));
	if (!write_text("/dev/kmsg", text))
		fail_errno("/dev/kmsg");
	set_fault(kind, "error", error);
	/* Counts from 1. */
	set_fault(kind, "space", index + 1);
	set_fault(kind, "times", times);
	set_fault(kind, "probability", 100);
	set_policy(SCHED_FIFO);
	if (!write_text(MAKE_IT_FAIL, "1"))
		fail_errno(MAKE_IT_FAIL);
}

unsigned int disarm(const char *kind, unsigned int times)
{
	unsigned int n;

	if (!write_text(MAKE_IT_FAIL, "0"))
		fail_errno(MAKE_IT_FAIL);
	set_policy(SCHED_OTHER);
	set_fault(kind, "probability", 0);
	n = times - times_left(kind);
	injected += n;
	return n;
}

/*
 * Reads the reports since arm(); returns how many there are. If a flush had more
 * refusals than are reported one by one, @more is how many more there were.
 */
static unsigned int read_reports(struct refusal *reports, unsigned int max,
				 unsigned int *more)
{
	char *log = read_klog(), *at = NULL, *next = log;
	unsigned int n = 0;

	*more = 0;
	if (!log)
		fail("the kernel's log is not readable");
	while ((next = strstr(next, MARK)))
		at = next++;
	if (!at)
		fail("the kernel's log is too short");
	while ((at = strstr(at, "xen_pv_mmu: "))) {
		unsigned int number;
		struct refusal r;
		int end = 0;

		if (sscanf(at, REPORT, r.what, &r.target, &r.value, r.error,
			   r.caller) == 5) {
			if (n < max)
				reports[n] = r;
			n++;
		} else if (sscanf(at, "xen_pv_mmu: %u more operations failed%n", &number,
				  &end) == 1 && end) {
			/* Not the number of messages that were suppressed. */
			*more = number;
			reported++;
		}
		at++;
	}
	free(log);
	reported += n;
	return n;
}

void expect_reports(struct refusal *reports, unsigned int expected,
		    unsigned int expected_more)
{
	unsigned int more, n = read_reports(reports, expected, &more);

	if (n != expected || more != expected_more)
		fail("%u report(s) and %u more, expected %u and %u", n, more,
		     expected, expected_more);
}

void expect_error(const struct refusal *r, const char *what, int error)
{
	if (strcmp(r->what, what) || strcmp(r->error, strerrorname_np(error)))
		fail("%s failed with %s, expected %s with %s", r->what,
		     r->error, what, strerrorname_np(error));
	if (!strstr(r->caller, "+0x"))
		fail("called by %s", r->caller);
}

void count_report(void)
{
	reported++;
}

void print_counts(void)
{
	printf("PVMMU: COUNT injected=%u reports=%u\n", injected, reported);
	fflush(stdout);
}

struct witness call_witness(void)
{
	size_t size = fit(4 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE), c;
	struct witness witness;
	int ends[2];

	if (pipe(ends))
		fail_errno("pipe");
	fill(mem, pages, 0, 99);
	witness.pid = spawn();
	if (!witness.pid) {
		close(ends[1]);
		if (read(ends[0], &c, 1) < 0)
			fail_errno("read");
		verify(mem, pages, 0, 99, "witness");
		fill(mem, pages, 0, 98);
		verify(mem, pages, 0, 98, "witness");
		_exit(0);
	}
	close(ends[0]);
	witness.end = ends[1];
	unmap(mem, size);
	return witness;
}

void hear_witness(struct witness witness)
{
	close(witness.end);
	reap(witness.pid);
}

void need_faults(void)
{
	if (access(FAULTS, F_OK))
		skip("no " FAULTS);
	if (access("/dev/kmsg", W_OK))
		skip("no /dev/kmsg");
	/* The test before may have used up the limit. */
	limit_start = now();
	limit_used = MAX_REPORTS;
}
