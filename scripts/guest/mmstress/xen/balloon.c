// SPDX-License-Identifier: GPL-2.0-only
/* Memory given back to Xen, and requested again. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define XEN_MEMORY	"/sys/devices/system/xen_memory/xen_memory0/"
#define TARGET		XEN_MEMORY "target_kb"
#define CURRENT		XEN_MEMORY "info/current_kb"
#define AUTO_ONLINE	"/sys/devices/system/memory/auto_online_blocks"

#define TOLERANCE_KB	1024
#define PATIENCE	30		/* seconds in total */
#define GIVE_UP		15		/* seconds without the first page */

static long number(const char *path)
{
	char text[32];

	if (!read_text(path, text, sizeof(text)))
		skip("no %s", path);
	return atol(text);
}

static void set_target(long kb)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", kb);
	if (!write_text(TARGET, text))
		fail_errno("write to %s", TARGET);
}

static void expect(const char *what, long kb, long expected)
{
	if (labs(kb - expected) > TOLERANCE_KB)
		fail("%s is %ld kB, expected %ld kB", what, kb, expected);
}

/* Waits until the balloon and MemTotal have reached the target. */
static void go_to(long kb, long total_kb)
{
	double limit = now() + PATIENCE;

	set_target(kb);
	while (labs(number(CURRENT) - kb) > TOLERANCE_KB) {
		if (now() > limit) {
			long stuck = number(CURRENT);

			set_target(stuck);
			fail("balloon stuck at %ld kB on the way to %ld kB",
			     stuck, kb);
		}
		usleep(10000);
	}
	expect("MemTotal", meminfo_kb("MemTotal"), total_kb);
}

static void fork_once(char *mem, size_t pages, uint32_t gen)
{
	pid_t pid = spawn();

	if (!pid) {
		verify(mem, pages, 0, gen, "child");
		fill(mem, pages, 0, gen + 1);
		_exit(0);
	}
	reap(pid);
	verify(mem, pages, 0, gen, "parent");
}

/* Changes the size by @kb, which may be negative, and back again. */
static void there_and_back(long kb)
{
	long target = number(TARGET), total = meminfo_kb("MemTotal");
	size_t size = fit(8 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; more(); gen += 2) {
		fill(mem, pages, 0, gen);
		go_to(target + kb, total + kb);
		fork_once(mem, pages, gen);
		fill(mem, pages, 0, ~gen);
		go_to(target, total);
		fork_once(mem, pages, ~gen);
	}
}

void test_balloon(void)
{
	there_and_back(-(long)(fit(64 * MIB) / KIB));
}

/*
 * If it cannot grow, the kernel resets its target; Xen only refuses. Nothing of
 * the attempt may be left at the end, or the next read of MemTotal shows it.
 */
static bool can_grow(void)
{
	long before = number(CURRENT), probe = before + TOLERANCE_KB;
	double limit = now() + GIVE_UP;
	bool grown = false;

	set_target(probe);
	while (!grown && number(TARGET) == probe && now() < limit) {
		usleep(10000);
		grown = number(CURRENT) > before;
	}
	set_target(before);
	while (number(CURRENT) > before && now() < limit)
		usleep(10000);
	return grown;
}

/* Beyond the initial size: new frames, and new page tables for them. */
void test_balloon_grow(void)
{
	number(TARGET);
	/* Added memory cannot be used until it is set online. */
	write_text(AUTO_ONLINE, "online");
	if (!can_grow())
		skip("no more memory is available");
	there_and_back(fit(64 * MIB) / KIB);
}
