// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "mmstress.h"

static const char usage[] =
	"usage: mmstress run [-j WORKERS] [-m MIB] [-t SECONDS] [-s SEED] [TEST...]\n"
	"       mmstress keep [-m MIB] [-s SEED] FILE\n"
	"       mmstress list | time | facts\n"
	"\n"
	"  run     the tests named, or all but fault-*, one after the other or\n"
	"          (-j above 1) on all CPUs at once; -j 0: one worker more than CPUs;\n"
	"          -m: the most that a test may touch, memory-hog excepted\n"
	"  keep    fork and check memory until it is wrong; FILE counts the rounds\n"
	"  list    the tests by name\n"
	"  time    what a few operations cost\n"
	"  facts   the machine and the kernel\n";

static __noreturn void usage_error(void)
{
	fputs(usage, stderr);
	exit(2);
}

static uint64_t random_seed(void)
{
	uint32_t seed = 1;

	if (getrandom(&seed, sizeof(seed), GRND_INSECURE) != sizeof(seed))
		seed = getpid();
	return seed;
}

static int run(int argc, char **argv)
{
	const struct test **chosen = calloc(nr_tests + argc, sizeof(*chosen));
	struct plan plan = { .tests = chosen, .seconds = 8, .workers = 1 };
	uint64_t seed = random_seed();
	size_t limit = SIZE_MAX;
	int opt;

	while ((opt = getopt(argc, argv, "j:m:t:s:")) != -1) {
		if (opt == 'j')
			plan.workers = atoi(optarg);
		else if (opt == 'm')
			limit = strtoul(optarg, NULL, 0) * MIB;
		else if (opt == 't')
			plan.seconds = atof(optarg);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			usage_error();
	}
	if (!chosen)
		return 1;
	for (int i = optind; i < argc; i++) {
		chosen[plan.nr] = find_test(argv[i]);
		if (!chosen[plan.nr++]) {
			fprintf(stderr, "mmstress: no test named %s\n", argv[i]);
			return 2;
		}
	}
	for (size_t i = 0; optind == argc && i < nr_tests; i++)
		if (!(tests[i].flags & TEST_NAMED))
			chosen[plan.nr++] = &tests[i];
	env_init(seed);
	if (!plan.workers)
		plan.workers = nr_cpus + 1;
	set_budget(plan.workers, limit);
	probe_init();
	/* The OOM killer must not select the runner. */
	write_text("/proc/self/oom_score_adj", "-900");
	return run_plan(&plan) ? 1 : 0;
}

static int keep_memory(int argc, char **argv)
{
	uint64_t seed = random_seed();
	size_t size = 16 * MIB;
	int opt;

	while ((opt = getopt(argc, argv, "m:s:")) != -1) {
		if (opt == 'm')
			size = strtoul(optarg, NULL, 0) * MIB;
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			usage_error();
	}
	if (optind + 1 != argc)
		usage_error();
	env_init(seed);
	probe_init();
	keep(size, argv[optind]);
	return 1;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (!strcmp(command, "run"))
		return run(argc - 1, argv + 1);
	if (!strcmp(command, "keep"))
		return keep_memory(argc - 1, argv + 1);
	if (!strcmp(command, "exec-child"))
		return exec_child(argc - 2, argv + 2);
	if (!strcmp(command, "facts")) {
		env_init(1);
		print_facts();
	} else if (!strcmp(command, "list")) {
		for (size_t i = 0; i < nr_tests; i++)
			printf("%-14s %s\n", tests[i].name, tests[i].what);
	} else if (!strcmp(command, "time")) {
		env_init(1);
		time_operations();
	} else {
		usage_error();
	}
	return 0;
}
