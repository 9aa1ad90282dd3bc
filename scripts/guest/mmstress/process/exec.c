// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that exec themselves. The new program checks that its memory is
 * fresh, writes a pattern, and ends with a status that the parent expects.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define SELF	"/proc/self/exe"
#define BAD	99
#define NEAR	"/sys/kernel/debug/xen_pv_mmu/near_stacks"

static char bss[4 * PAGE];

/* The last action of a vfork()ed child: nothing here may allocate. */
static void become(char *depth, char *status)
{
	char *argv[] = { "mmstress", "exec-child", depth, status, NULL };
	char *envp[] = { NULL };

	execve(SELF, argv, envp);
	_exit(BAD);
}

/* mmstress exec-child <how often to exec again> <status> */
int exec_child(int argc, char **argv)
{
	char depth[12];
	char *mem;

	if (argc != 2)
		return BAD;
	mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return BAD;
	for (unsigned int page = 0; page < 4; page++)
		if (!is_zero_page(bss + page * PAGE) ||
		    !is_zero_page(mem + page * PAGE))
			return BAD;
	memset(bss, 0xaa, sizeof(bss));
	memset(mem, 0x55, 4 * PAGE);
	if (!atoi(argv[0]))
		return atoi(argv[1]);
	snprintf(depth, sizeof(depth), "%d", atoi(argv[0]) - 1);
	become(depth, argv[1]);
	return BAD;
}

static void reap_status(pid_t pid, int expected)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		fail_errno("waitpid");
	if (WIFSIGNALED(status))
		fail("an executed program was killed by %s",
		     strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) == BAD)
		fail("an executed program could not start or saw old memory");
	if (WEXITSTATUS(status) != expected)
		fail("an executed program ended with %d, expected %d",
		     WEXITSTATUS(status), expected);
}

static int pick_status(char *text, size_t size)
{
	int status = rnd_below(BAD);

	snprintf(text, size, "%d", status);
	return status;
}

void test_fork_exec(void)
{
	while (more()) {
		char text[12];
		int status = pick_status(text, sizeof(text));
		pid_t pid = spawn();

		if (!pid)
			become("0", text);
		reap_status(pid, status);
	}
}

void test_vfork_exec(void)
{
	const size_t pages = 64;
	char *mem = map(pages * PAGE, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; more(); gen++) {
		char text[12];
		int status = pick_status(text, sizeof(text));
		pid_t pid;

		fill(mem, pages, 0, gen);
		pid = vfork();
		if (pid < 0)
			fail_errno("vfork");
		if (!pid)
			become("0", text);
		reap_status(pid, status);
		verify(mem, pages, 0, gen, "parent after vfork");
	}
}

void test_exec_storm(void)
{
	const unsigned int children = 2 * nr_cpus < 16 ? 2 * nr_cpus : 16;

	while (more()) {
		pid_t pids[16];
		int status[16];

		for (unsigned int i = 0; i < children; i++) {
			char text[12];

			status[i] = pick_status(text, sizeof(text));
			pids[i] = spawn();
			if (!pids[i]) {
				pin(i);
				become("2", text);
			}
		}
		for (unsigned int i = 0; i < children; i++)
			reap_status(pids[i], status[i]);
	}
}

static __noreturn void *fault_forever(void *arg)
{
	const size_t pages = 16;

	pin((uintptr_t)arg);
	for (uint32_t gen = 1; ; gen++) {
		char *mem = map(pages * PAGE, PROT_READ | PROT_WRITE);

		fill(mem, pages, 0, gen);
		verify(mem, pages, 0, gen, "thread before exec");
		unmap(mem, pages * PAGE);
	}
}

static __noreturn void *exec_from_thread(void *arg)
{
	usleep(rnd_below(3000));
	become("1", arg);
	_exit(BAD);
}

void test_exec_threads(void)
{
	for (unsigned long round = 0; more(); round++) {
		char text[12];
		int status = pick_status(text, sizeof(text));
		pid_t pid = spawn();

		if (!pid) {
			for (uintptr_t i = 0; i < nr_cpus + 1; i++)
				thread(fault_forever, (void *)i);
			if (round % 2)
				exec_from_thread(text);
			thread(exec_from_thread, text);
			for (;;)
				pause();
		}
		reap_status(pid, status);
	}
}

/*
 * Nearly 6 MiB of arguments. The stack is created below the last address and
 * then moved down by a random number of pages. With 22 bits, the old and the new
 * area overlap once in about 2800 times; with NEAR, each time.
 */
void test_exec_overlap(void)
{
	enum { COUNT = 48, LENGTH = 120 * KIB };
	struct rlimit limit = { 64 * MIB, 64 * MIB };
	char *argv[] = { "mmstress", "exec-child", "0", "7", NULL };
	char *envp[COUNT + 1] = { NULL };
	char *text = malloc(LENGTH);
	bool is_near;

	/* Arguments may take a quarter of the limit, at most 6 MiB. */
	if (!text || setrlimit(RLIMIT_STACK, &limit))
		fail_errno("a stack of 64 MiB");
	memset(text, 'x', LENGTH - 1);
	text[LENGTH - 1] = 0;
	for (int i = 0; i < COUNT; i++)
		envp[i] = text;
	is_near = write_text(NEAR, "1");
	while (more()) {
		pid_t pid = vfork();

		if (pid < 0)
			fail_errno("vfork");
		if (!pid) {
			execve(SELF, argv, envp);
			_exit(BAD);
		}
		reap_status(pid, 7);
	}
	if (is_near && !write_text(NEAR, "0"))
		fail_errno("%s", NEAR);
}
