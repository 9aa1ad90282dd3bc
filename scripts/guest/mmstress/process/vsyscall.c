// SPDX-License-Identifier: GPL-2.0-only
/* The vsyscall page has the rights that its line in /proc/self/maps shows. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "../mmstress.h"
#include "../tests.h"

#define VSYSCALL		0xffffffffff600000UL
#define VSYSCALL_GETTIMEOFDAY	(VSYSCALL + 0x000)
#define VSYSCALL_TIME		(VSYSCALL + 0x400)
#define VSYSCALL_GETCPU		(VSYSCALL + 0x800)

/* The rights as printed, such as "--xp", or "---p" if there is no such page. */
static void vsyscall_rights(char rights[5])
{
	char *maps = slurp("/proc/self/maps"), *line;
	bool listed;

	if (!maps)
		fail_errno("/proc/self/maps");
	line = strstr(maps, "ffffffffff600000-ffffffffff601000 ");
	listed = line && strstr(line, "[vsyscall]");
	memcpy(rights, listed ? strchr(line, ' ') + 1 : "---p", 4);
	rights[4] = '\0';
	free(maps);
}

static unsigned long call(unsigned long addr, unsigned long arg, bool allowed)
{
	unsigned long result = -1;
	int sig = try_call((void *)addr, arg, 0, &result);

	if (sig != (allowed ? 0 : SIGSEGV))
		fail("a call to %#lx gave signal %d", addr, sig);
	return result;
}

/* time() may be a tick behind gettimeofday(). */
static void check_seconds(const char *what, time_t seconds, time_t before)
{
	if (seconds < before || seconds > time(NULL) + 1)
		fail("%s through it is %ld, not %ld", what, seconds, before);
}

void test_vsyscall(void)
{
	char rights[5];
	bool exec;

	vsyscall_rights(rights);
	exec = rights[2] == 'x';
	/* Once: the kernel logs every attempt. */
	if (try_read((void *)VSYSCALL) != (rights[0] == 'r' ? 0 : SIGSEGV))
		fail("reading it disagrees with %s", rights);
	if (try_write((void *)VSYSCALL) != SIGSEGV)
		fail("it is writable");
	while (more()) {
		struct timeval tv = { 0 };
		unsigned int cpu = -1;
		time_t before = time(NULL), then;

		then = call(VSYSCALL_TIME, 0, exec);
		call(VSYSCALL_GETTIMEOFDAY, (uintptr_t)&tv, exec);
		call(VSYSCALL_GETCPU, (uintptr_t)&cpu, exec);
		if (!exec)
			continue;
		check_seconds("time()", then, before);
		check_seconds("gettimeofday()", tv.tv_sec, before);
		if (cpu >= 4096)
			fail("getcpu() through it is %u", cpu);
	}
}
