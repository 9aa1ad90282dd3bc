// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmbench list
 * mmbench run [-n SAMPLES] [OPERATION...]
 *
 * Prints, for each sample, "MMBENCH: OPERATION SAMPLE COUNT TICKS": COUNT
 * operations took TICKS ticks of the time stamp counter. On a machine whose
 * counter counts instructions, that is the number of instructions. Instructions
 * without effect mark the same stretches for a plugin of the emulator.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include "mmbench.h"

enum mark { BEGIN = 0x4d4d4201, PAUSE, WRITE };

/* A NOP with a displacement that the plugin knows; it may look at rax. */
static inline __attribute__((always_inline))
void mark(const enum mark what, unsigned long number)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80\n\t.long %c0"
		     :: "i" (what), "a" (number) : "memory");
}

#define LOOPS	500000

/* Measures code of known length, to check the counter. */
static void known_length(void)
{
	unsigned int left = LOOPS;

	asm volatile("1: nop\n\tnop\n\tdec %0\n\tjnz 1b" : "+r" (left));
}

static const struct operation calibration[] = {
	{ .name = "calibration", .what = "a loop of four instructions",
	  .run = known_length, .rounds = 1, .loops = 1, .units = LOOPS },
};

static const struct {
	const struct operation *list;
	const size_t *count;
} groups[] = {
	{ calibration, &(const size_t){ ARRAY_SIZE(calibration) } },
	{ process_operations, &process_count },
	{ fault_operations, &fault_count },
	{ range_operations, &range_count },
	{ talk_operations, &talk_count },
	{ p2m_operations, &p2m_count },
};

static void call(void (*hook)(void))
{
	if (hook)
		hook();
}

static unsigned long long sample(const struct operation *op)
{
	unsigned long long ticks = 0, begin;

	for (unsigned int round = 0; round < op->rounds; round++) {
		call(op->before);
		mark(BEGIN, 0);
		begin = __rdtsc();
		for (unsigned int loop = 0; loop < op->loops; loop++)
			op->run();
		ticks += __rdtsc() - begin;
		mark(PAUSE, 0);
		call(op->after);
	}
	return ticks;
}

static void warm_up(const struct operation *op)
{
	call(op->before);
	for (unsigned int loop = 0; loop < op->loops; loop++)
		op->run();
	call(op->after);
}

static int measure(const struct operation *op, unsigned int samples)
{
	unsigned long count = (unsigned long)op->rounds * op->loops * op->units;
	unsigned long long ticks;

	if (op->usable && !op->usable())
		return 0;
	call(op->start);
	warm_up(op);
	for (unsigned int i = 1; i <= samples; i++) {
		ticks = sample(op);
		mark(WRITE, count);
		printf("MMBENCH: %s %u %lu %llu\n", op->name, i, count, ticks);
	}
	call(op->end);
	return 1;
}

/* Calls fn for each named operation, or for all; returns the sum of its results. */
static unsigned int each(char **names, unsigned int samples,
			 int (*fn)(const struct operation *op, unsigned int samples))
{
	unsigned int found = 0;

	for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
		for (size_t i = 0; i < *groups[g].count; i++) {
			const struct operation *op = &groups[g].list[i];
			char **name = names;

			while (*name && strcmp(*name, op->name))
				name++;
			if (*names && !*name)
				continue;
			found += fn(op, samples);
		}
	return found;
}

static int show(const struct operation *op, unsigned int samples)
{
	(void)samples;
	printf("%-20s %s\n", op->name, op->what);
	return 1;
}

static int usage(void)
{
	fputs("usage: mmbench list\n"
	      "       mmbench run [-n SAMPLES] [OPERATION...]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static char *all[] = { NULL };
	unsigned int samples = 3, found;
	int option;

	/* The program that the operations of exec start. */
	if (argc == 2 && !strcmp(argv[1], "child"))
		return 0;
	if (argc == 2 && !strcmp(argv[1], "list"))
		return each(all, 0, show) ? 0 : 1;
	if (argc < 2 || strcmp(argv[1], "run"))
		return usage();
	argc--;
	argv++;
	while ((option = getopt(argc, argv, "n:")) != -1) {
		if (option != 'n' || atoi(optarg) < 1)
			return usage();
		samples = atoi(optarg);
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	/* A PV guest has no large pages: compare small ones. */
	must(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl");
	found = each(argv + optind, samples, measure);
	printf("MMBENCH: DONE %u\n", found);
	return found ? 0 : 1;
}

void must(int ok, const char *what)
{
	if (ok)
		return;
	printf("MMBENCH: FAIL %s: %s\n", what, strerror(errno));
	exit(1);
}
