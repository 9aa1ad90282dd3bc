// SPDX-License-Identifier: GPL-2.0-only
/* CPUs go offline and come back while processes and threads run. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define STORMS	2

static void set_online(unsigned int cpu, bool online)
{
	char path[64], state[8];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online",
		 cpu);
	if (!write_text(path, online ? "1" : "0"))
		fail_errno("cpu%u %s", cpu, online ? "online" : "offline");
	if (!read_text(path, state, sizeof(state)) || atoi(state) != online)
		fail("cpu%u is still %s", cpu, online ? "offline" : "online");
}

static bool removable(unsigned int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online",
		 cpu);
	return !access(path, W_OK);
}

void set_others_online(bool online)
{
	for (unsigned int cpu = 1; removable(cpu); cpu++)
		set_online(cpu, online);
}

/* Uses the address space until the process ends. */
static void *linger(void *arg)
{
	volatile char *byte = arg;

	pin(rnd_below(nr_cpus));
	for (;;)
		*byte += 1;
	return NULL;
}

/* Ends while its threads run on other CPUs, which may be going offline. */
static __noreturn void exit_busy(char *scratch)
{
	for (unsigned int i = 0; i < 2; i++)
		thread(linger, scratch);
	pin(rnd_below(nr_cpus));
	_exit(0);
}

static __noreturn void fork_until(const _Atomic bool *stop)
{
	const size_t pages = 64;
	char *mem = map((pages + 1) * PAGE, PROT_READ | PROT_WRITE);

	for (uint32_t gen = 1; !atomic_load(stop); gen++) {
		pid_t pid;

		pin(rnd_below(nr_cpus));
		fill(mem, pages, 0, gen);
		pid = spawn();
		if (!pid) {
			pin(rnd_below(nr_cpus));
			verify(mem, pages, 0, gen, "child");
			fill(mem, pages, 0, gen + 1);
			exit_busy(mem + pages * PAGE);
		}
		reap(pid);
		verify(mem, pages, 0, gen, "parent");
	}
	_exit(0);
}

void test_cpu_hotplug(void)
{
	_Atomic bool *stop = map_file(-1, PAGE, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS);

	if (nr_cpus < 2 || !removable(1))
		skip("no CPU can go offline");
	while (more()) {
		pid_t storm[STORMS];

		atomic_store(stop, false);
		for (unsigned int i = 0; i < STORMS; i++) {
			storm[i] = spawn();
			if (!storm[i])
				fork_until(stop);
		}
		set_others_online(false);
		usleep(20000);
		set_others_online(true);
		atomic_store(stop, true);
		for (unsigned int i = 0; i < STORMS; i++)
			reap(storm[i]);
	}
}
