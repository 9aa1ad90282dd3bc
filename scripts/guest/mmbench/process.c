// SPDX-License-Identifier: GPL-2.0-only
/* Processes: fork, exec, exit. */
#define _GNU_SOURCE
#include <unistd.h>

#include "mmbench.h"

#define BIG	(64 * MIB)
#define COMPILER	"/usr/bin/gcc"

static char *big;

static void fork_exit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	reap(pid);
}

static void exec_self(void)
{
	static char *argv[] = { "mmbench", "child", NULL };

	execv("/proc/self/exe", argv);
	_exit(1);
}

static void fork_exec(void)
{
	pid_t pid = fork();

	if (!pid)
		exec_self();
	reap(pid);
}

static void vfork_exec(void)
{
	pid_t pid = vfork();

	if (!pid)
		exec_self();
	reap(pid);
}

static void get_big(void)
{
	big = map(BIG);
	touch(big, BIG, PAGE);
}

static void drop_big(void)
{
	unmap(big, BIG);
}

static void get_big_threaded(void)
{
	get_big();
	add_threads(8);
}

static void drop_big_threaded(void)
{
	end_threads();
	drop_big();
}

static int have_compiler(void)
{
	return !access(COMPILER, X_OK);
}

static void compile(void)
{
	static char *argv[] = { COMPILER, "-O2", "-o", "/tmp/program",
				"/usr/src/program.c", NULL };
	static char *envp[] = { "PATH=/usr/bin", NULL };
	pid_t pid = vfork();

	if (!pid) {
		execve(COMPILER, argv, envp);
		_exit(1);
	}
	reap(pid);
}

const struct operation process_operations[] = {
	{ .name = "fork", .what = "fork, exit and wait, small process",
	  .run = fork_exit, .rounds = 1, .loops = 20, .units = 1 },
	{ .name = "fork-64m", .what = "the same with 64 MiB touched",
	  .start = get_big, .run = fork_exit, .end = drop_big,
	  .rounds = 1, .loops = 2, .units = 1 },
	{ .name = "fork-64m-threads", .what = "the same with 8 more threads in the parent",
	  .start = get_big_threaded, .run = fork_exit, .end = drop_big_threaded,
	  .rounds = 1, .loops = 2, .units = 1 },
	{ .name = "fork-exec", .what = "fork, exec, exit and wait",
	  .run = fork_exec, .rounds = 1, .loops = 10, .units = 1 },
	{ .name = "vfork-exec", .what = "vfork, exec, exit and wait",
	  .run = vfork_exec, .rounds = 1, .loops = 10, .units = 1 },
	{ .name = "compile", .what = "gcc compiles and links a program",
	  .usable = have_compiler, .run = compile, .rounds = 1, .loops = 1, .units = 1 },
};

const size_t process_count = ARRAY_SIZE(process_operations);
