// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of mmstress that the scripts' own tests use on the host: its runner,
 * with tests whose outcome is known, and its judge of kernel messages.
 *
 *	selftest run SECONDS WORKERS TEST...
 *	selftest complaints <LOG
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../mmstress/mmstress.h"

static void passes(void)
{
	while (more())
		usleep(10000);
}

static void skips(void)
{
	skip("there is nothing for it");
}

/* The first run skips; another one that runs at the same time fails later. */
static void flaky(void)
{
	int fd = open("flaky", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0) {
		usleep(200000);
		skip("there is nothing for it");
	}
	usleep(600000);
	fail("memory differs");
}

/* A process in a group of its own, so that it does not end the others. */
static void skip_aside(void)
{
	pid_t pid = spawn();

	if (!pid) {
		setpgid(0, 0);
		skip("there is nothing for it");
	}
	reap_killed(pid);
}

static void skips_and_fails(void)
{
	skip_aside();
	fail("memory differs");
}

static void skips_and_crashes(void)
{
	skip_aside();
	abort();
}

const struct test tests[] = {
	{ "passes", passes, 0, "" },
	{ "skips", skips, 0, "" },
	{ "flaky", flaky, 0, "" },
	{ "skips-and-fails", skips_and_fails, 0, "" },
	{ "skips-and-crashes", skips_and_crashes, 0, "" },
};

const size_t nr_tests = ARRAY_SIZE(tests);

static int run(char **argv)
{
	const struct test *chosen[ARRAY_SIZE(tests)];
	struct plan plan = { .tests = chosen };

	plan.seconds = atof(argv[0]);
	plan.workers = atoi(argv[1]);
	for (char **name = argv + 2; *name && plan.nr < nr_tests; name++)
		for (size_t i = 0; i < nr_tests; i++)
			if (!strcmp(tests[i].name, *name))
				chosen[plan.nr++] = &tests[i];
	env_init(1);
	return run_plan(&plan) ? 1 : 0;
}

static int complaints(void)
{
	char line[1024];

	while (fgets(line, sizeof(line), stdin)) {
		const char *rule;

		line[strcspn(line, "\n")] = '\0';
		rule = complaint(line);
		puts(rule ? rule : "");
	}
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (argc > 4 && !strcmp(argv[1], "run"))
		return run(argv + 2);
	if (argc == 2 && !strcmp(argv[1], "complaints"))
		return complaints();
	return 2;
}
