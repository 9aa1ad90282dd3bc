// SPDX-License-Identifier: GPL-2.0-only
/* The machine: CPUs, memory, and the text files that describe it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mmstress.h"

unsigned int nr_cpus;

static int cpus[CPU_SETSIZE];
static size_t budget;
static _Thread_local uint64_t rnd_state;

bool read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = -1;

	if (fd < 0)
		return false;
	while (len < size - 1) {
		got = read(fd, buf + len, size - 1 - len);
		if (got <= 0)
			break;
		len += got;
	}
	close(fd);
	buf[len] = '\0';
	return got >= 0;
}

char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0, room = 64 * KIB;
	char *text = malloc(room);
	ssize_t got;

	if (fd < 0 || !text) {
		free(text);
		return NULL;
	}
	while ((got = read(fd, text + len, room - 1 - len)) > 0) {
		len += got;
		if (room - 1 - len)
			continue;
		room *= 2;
		text = realloc(text, room);
		if (!text)
			abort();
	}
	close(fd);
	text[len] = '\0';
	return text;
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, len) == (ssize_t)len;
	close(fd);
	return ok;
}

long text_kb(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ':')
			return atol(line + len + 1);
	}
	return -1;
}

long meminfo_kb(const char *name)
{
	char text[8 * KIB];

	return read_text("/proc/meminfo", text, sizeof(text)) ?
	       text_kb(text, name) : -1;
}

bool cpu_has(const char *flag)
{
	char text[8 * KIB], *flags, *end, *rest;

	if (!read_text("/proc/cpuinfo", text, sizeof(text)))
		fail_errno("/proc/cpuinfo");
	flags = strstr(text, "\nflags");
	end = flags ? strchr(flags + 1, '\n') : NULL;
	if (!end)
		fail("/proc/cpuinfo has no flags");
	*end = '\0';
	for (char *word = strtok_r(flags + 1, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest))
		if (!strcmp(word, flag))
			return true;
	return false;
}

static void find_cpus(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[nr_cpus++] = cpu;
}

void env_init(uint64_t seed)
{
	find_cpus();
	pattern_seed = seed;
	rnd_seed(0);
	set_budget(1, SIZE_MAX);
}

/* A test may need twice the memory that it touches; half is left to the others. */
void set_budget(unsigned int workers, size_t limit)
{
	long available = meminfo_kb("MemAvailable");

	if (available < 0)
		available = 64 * KIB;
	budget = available * KIB / (4 * workers);
	if (budget > limit)
		budget = limit;
}

size_t fit(size_t want)
{
	size_t size = want < budget ? want : budget;

	size -= size % PAGE;
	return size > 16 * PAGE ? size : 16 * PAGE;
}

void pin(unsigned int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[n % nr_cpus], &set);
	/* Fails while the CPU is offline; then use any other one. */
	sched_setaffinity(0, sizeof(set), &set);
}

void rnd_seed(uint64_t salt)
{
	rnd_state = (pattern_seed + 1) * 0x9e3779b97f4a7c15 ^ salt << 20;
}

/* splitmix64 */
uint64_t rnd(void)
{
	uint64_t x = rnd_state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

unsigned long rnd_below(unsigned long limit)
{
	return rnd() % limit;
}
