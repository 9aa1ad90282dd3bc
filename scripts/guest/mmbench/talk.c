// SPDX-License-Identifier: GPL-2.0-only
/* Two processes take turns: each step is a switch of address spaces. */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mmbench.h"

enum { OURS, THEIRS, OVER };

static int to[2], from[2];
static _Atomic unsigned int *turn;
static pid_t peer;

static void echo(void)
{
	char byte;

	close(to[1]);
	while (read(to[0], &byte, 1) == 1)
		if (write(from[1], &byte, 1) != 1)
			break;
	_exit(0);
}

static void start_echo(void)
{
	must(!pipe(to) && !pipe(from), "pipe");
	peer = fork();
	if (!peer)
		echo();
}

static void ping_pong(void)
{
	char byte = 0;

	must(write(to[1], &byte, 1) == 1, "write");
	must(read(from[0], &byte, 1) == 1, "read");
}

static void end_echo(void)
{
	close(to[0]);
	close(to[1]);
	reap(peer);
	close(from[0]);
	close(from[1]);
}

static void futex(int op, unsigned int value)
{
	syscall(SYS_futex, turn, op, value, NULL, NULL, 0);
}

static void give(unsigned int to_whom)
{
	*turn = to_whom;
	futex(FUTEX_WAKE, 1);
}

static void partner(void)
{
	while (*turn != OVER)
		if (*turn == THEIRS)
			give(OURS);
		else
			futex(FUTEX_WAIT, OURS);
	_exit(0);
}

static void start_partner(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(page != MAP_FAILED, "mmap");
	turn = page;
	peer = fork();
	if (!peer)
		partner();
}

static void there_and_back(void)
{
	give(THEIRS);
	while (*turn == THEIRS)
		futex(FUTEX_WAIT, THEIRS);
}

static void end_partner(void)
{
	give(OVER);
	reap(peer);
	must(!munmap((void *)turn, PAGE), "munmap");
}

const struct operation talk_operations[] = {
	{ .name = "pipe", .what = "a byte through a pipe to a process and back",
	  .start = start_echo, .run = ping_pong, .end = end_echo,
	  .rounds = 1, .loops = 300, .units = 1 },
	{ .name = "switch", .what = "one switch between two processes, by futex",
	  .start = start_partner, .run = there_and_back, .end = end_partner,
	  .rounds = 1, .loops = 300, .units = 2 },
};

const size_t talk_count = ARRAY_SIZE(talk_operations);
