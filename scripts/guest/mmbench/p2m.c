// SPDX-License-Identifier: GPL-2.0-only
/* The p2m list, in loops in the kernel (bench/p2m_bench.c). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "mmbench.h"

#define RUN	"/sys/module/p2m_bench/parameters/run"
#define TIMES	20000

static int request(const char *what)
{
	int fd = open(RUN, O_WRONLY | O_CLOEXEC);
	ssize_t size = strlen(what);
	int done;

	if (fd < 0)
		return 0;
	done = write(fd, what, size) == size;
	close(fd);
	return done;
}

/* Without Xen there is no list, and not every kernel has the loop. */
static int usable(void)
{
	return request("get 1");
}

static void get(void)
{
	must(request("get 20000"), "get");
}

static void set(void)
{
	must(request("set 20000"), "set");
}

const struct operation p2m_operations[] = {
	{ .name = "p2m-get", .what = "one lookup in the p2m list",
	  .usable = usable, .run = get, .rounds = 1, .loops = 1, .units = TIMES },
	{ .name = "p2m-set", .what = "one change of the p2m list",
	  .usable = usable, .run = set, .rounds = 1, .loops = 1, .units = TIMES },
};

const size_t p2m_count = ARRAY_SIZE(p2m_operations);
