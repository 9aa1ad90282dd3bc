// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs tests, each in a process group of its own, with a time limit: first on
 * all CPUs at once if requested, then the remaining ones.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmstress.h"

#define GRACE		180	/* seconds that a test may take beyond its time */
#define KILL_GRACE	10	/* seconds that a killed test may take to end */
#define PROGRESS	10	/* seconds between two lines of progress */

#define MAX_SLICE	1.0	/* seconds, on all CPUs at once */
#define SHARED_PART	0.8	/* of the time goes to all CPUs at once */
#define ALONE_PART	0.15	/* at least, to each test that must be alone */

/* The sum of all runs of one test; shared with the workers. */
struct total {
	_Atomic int verdict;
	_Atomic unsigned long runs;
	_Atomic unsigned long rounds;
	_Atomic unsigned long msecs;
	struct reason reasons[NR_VERDICTS];
};

static struct total *totals;
static _Atomic unsigned long *turns;
static _Atomic bool *single_busy;

static void *shared(size_t size)
{
	return map_file(-1, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS);
}

static __noreturn void be_the_test(const struct test *test, double seconds,
				   struct report *report, unsigned long run)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	write_text("/proc/self/oom_score_adj", "500");
	rnd_seed((uint64_t)(test - tests) << 32 | run);
	report_to(report);
	set_time(seconds);
	test->run();
	_exit(0);
}

static bool wait_end(int pidfd, double seconds)
{
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };

	return poll(&pollfd, 1, seconds * 1000) == 1;
}

static void set_failure(struct report *report, const char *text)
{
	struct reason *reason = &report->reasons[VERDICT_FAIL];

	if (raise_verdict(&report->verdict, VERDICT_FAIL))
		snprintf(reason->text, sizeof(reason->text), "%s", text);
}

/* A skip kills all processes of the test, itself included. */
static bool has_skipped(const struct report *report, int status)
{
	return report->verdict == VERDICT_SKIP && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

static void run_once(const struct test *test, double seconds,
		     struct report *report, unsigned long run)
{
	char why[80];
	int status, pidfd;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	pid = fork();
	if (pid < 0) {
		set_failure(report, "fork failed");
		return;
	}
	if (!pid)
		be_the_test(test, seconds, report, run);
	/* Both processes do this, because either may run first. */
	setpgid(pid, pid);
	pidfd = pidfd_open(pid, 0);
	if (!wait_end(pidfd, seconds + GRACE)) {
		snprintf(why, sizeof(why), "no end after %.0f s", seconds + GRACE);
		set_failure(report, why);
	}
	/* Its children must not outlive it. */
	kill(-pid, SIGKILL);
	if (!wait_end(pidfd, KILL_GRACE)) {
		set_failure(report, "cannot be killed");
		close(pidfd);
		return;
	}
	close(pidfd);
	waitpid(pid, &status, 0);
	if (has_skipped(report, status))
		return;
	if (WIFSIGNALED(status)) {
		snprintf(why, sizeof(why), "killed by %s",
			 strsignal(WTERMSIG(status)));
		set_failure(report, why);
	} else if (WEXITSTATUS(status)) {
		snprintf(why, sizeof(why), "ended with status %d",
			 WEXITSTATUS(status));
		set_failure(report, why);
	}
}

static void print_failure(const struct test *test, const struct total *total)
{
	printf("PVMMU: FAIL %s %s\n", test->name,
	       total->reasons[VERDICT_FAIL].text);
}

/*
 * A failure is printed at once, because the machine may crash before the end. It
 * counts whatever other runs of the test, before it or at the same time, report.
 */
static void run_and_add(const struct test *test, double seconds,
			struct report *report)
{
	struct total *total = &totals[test - tests];
	double start = now();
	enum verdict verdict;

	run_once(test, seconds, report, atomic_fetch_add(&total->runs, 1));
	atomic_fetch_add(&total->rounds, report->rounds);
	atomic_fetch_add(&total->msecs, (now() - start) * 1000);
	verdict = report->verdict;
	if (!raise_verdict(&total->verdict, verdict))
		return;
	total->reasons[verdict] = report->reasons[verdict];
	if (verdict == VERDICT_FAIL)
		print_failure(test, total);
}

/*
 * Every test runs once before any test runs again. Later, two tests are picked at
 * random, and the one that ran less often runs.
 */
static const struct test *pick(const struct plan *plan)
{
	unsigned long turn = atomic_fetch_add(turns, 1);
	const struct test *test, *other;

	if (turn < plan->nr)
		return plan->tests[turn];
	test = plan->tests[rnd_below(plan->nr)];
	other = plan->tests[rnd_below(plan->nr)];
	return totals[other - tests].runs < totals[test - tests].runs ?
	       other : test;
}

static bool can_share(const struct test *test)
{
	return !(test->flags & (TEST_ALONE | TEST_LAST)) &&
	       totals[test - tests].verdict == VERDICT_PASS;
}

/* Tests that change something global do not run at the same time. */
static bool claim(const struct test *test)
{
	return !(test->flags & TEST_SINGLE) || !atomic_exchange(single_busy, true);
}

static void release(const struct test *test)
{
	if (test->flags & TEST_SINGLE)
		atomic_store(single_busy, false);
}

static __noreturn void work(const struct plan *plan, unsigned int me, double end)
{
	double slice = end - now();
	struct report *report = shared(sizeof(*report));

	slice = slice * plan->workers / plan->nr / 2;
	if (slice > MAX_SLICE)
		slice = MAX_SLICE;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rnd_seed(me);
	while (now() < end) {
		const struct test *test = pick(plan);

		if (!can_share(test) || !claim(test)) {
			usleep(1000);
			continue;
		}
		/* Tests that do not choose a CPU start on that of the worker. */
		pin(me);
		run_and_add(test, slice, report);
		release(test);
	}
	_exit(0);
}

static void print_progress(double done, double total)
{
	unsigned long runs = 0, failed = 0;

	for (size_t i = 0; i < nr_tests; i++) {
		runs += totals[i].runs;
		failed += totals[i].verdict == VERDICT_FAIL;
	}
	printf("PVMMU: %.0f of %.0f s, %lu test runs, %lu failed\n", done, total,
	       runs, failed);
}

static void wait_workers(unsigned int workers, double start, double end)
{
	double next = start + PROGRESS;

	while (workers) {
		if (waitpid(-1, NULL, WNOHANG) > 0) {
			workers--;
			continue;
		}
		usleep(50000);
		if (now() < next)
			continue;
		next += PROGRESS;
		print_progress(now() - start, end - start);
	}
}

static void run_at_once(const struct plan *plan)
{
	double start = now(), end = start + plan->seconds * SHARED_PART;

	for (unsigned int i = 0; i < plan->workers; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			exit(1);
		}
		if (!pid)
			work(plan, i, end);
	}
	wait_workers(plan->workers, start, end);
}

static void print_total(const struct test *test, const struct total *total)
{
	if (total->verdict == VERDICT_PASS)
		printf("PVMMU: PASS %s (%lu rounds, %.2f s)\n", test->name,
		       total->rounds, total->msecs / 1000.0);
	else if (total->verdict == VERDICT_SKIP)
		printf("PVMMU: SKIP %s %s\n", test->name,
		       total->reasons[VERDICT_SKIP].text);
}

/*
 * The time for a test that has not run: an equal part of the remaining time, if
 * any. A test that checks the others needs none; one that runs alone needs some.
 */
static double slice_of(const struct test *test, const struct plan *plan,
		       double seconds)
{
	double least = plan->workers > 1 ? plan->seconds * ALONE_PART : 0;
	unsigned int left = 0;
	double slice;

	for (size_t i = 0; i < plan->nr; i++)
		left += !(plan->tests[i]->flags & TEST_LAST) &&
			!totals[plan->tests[i] - tests].runs;
	slice = left && seconds > 0 ? seconds / left : 0;
	return test->flags & TEST_ALONE && slice < least ? least : slice;
}

unsigned int run_plan(const struct plan *plan)
{
	struct report *report = shared(sizeof(*report));
	unsigned int count[NR_VERDICTS] = { 0 };
	unsigned long runs = 0, rounds = 0;
	double end = now() + plan->seconds;

	totals = shared(nr_tests * sizeof(*totals));
	turns = shared(sizeof(*turns));
	single_busy = shared(sizeof(*single_busy));
	printf("PVMMU: %zu tests, %u at once, %.0f s, %u CPUs, seed %lu\n",
	       plan->nr, plan->workers, plan->seconds, nr_cpus, pattern_seed);
	if (plan->workers > 1)
		run_at_once(plan);

	for (size_t i = 0; i < plan->nr; i++) {
		const struct test *test = plan->tests[i];
		struct total *total = &totals[test - tests];

		if (!total->runs)
			run_and_add(test, slice_of(test, plan, end - now()),
				    report);
		print_total(test, total);
		count[total->verdict]++;
		runs += total->runs;
		rounds += total->rounds;
	}
	printf("PVMMU: DONE pass=%u fail=%u skip=%u (%lu runs, %lu rounds)\n",
	       count[VERDICT_PASS], count[VERDICT_FAIL], count[VERDICT_SKIP],
	       runs, rounds);
	return count[VERDICT_FAIL];
}
