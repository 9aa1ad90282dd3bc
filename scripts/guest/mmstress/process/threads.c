// SPDX-License-Identifier: GPL-2.0-only
/*
 * One address space on all CPUs: some threads map and unmap, some change
 * rights, some discard pages, and all of them check what they can read.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define MAX_THREADS	32U

struct arena {
	char *constant;			/* written once, rights change */
	size_t pages;
	char *fleeting;			/* written again and again, discarded */
	size_t fleeting_pages;
	_Atomic bool stop;
};

static struct arena arena;

static void mapper_round(uint32_t gen)
{
	size_t pages = 1 + rnd_below(32);
	char *mem = map(pages * PAGE, PROT_READ | PROT_WRITE);

	fill(mem, pages, 0, gen);
	verify(mem, pages, 0, gen, "mapper");
	if (gen % 4 == 0) {
		protect(mem, pages * PAGE, PROT_READ);
		verify(mem, pages, 0, gen, "mapper, read-only");
	}
	unmap(mem, pages * PAGE);
}

static void flipper_round(uint32_t gen)
{
	static const int prots[] = {
		PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE,
	};
	size_t first = rnd_below(arena.pages);
	size_t pages = 1 + rnd_below(arena.pages - first);

	protect(arena.constant + first * PAGE, pages * PAGE,
		prots[gen % ARRAY_SIZE(prots)]);
}

/* Reads while rights change; if allowed, writes the same contents again. */
static void reader_round(uint32_t gen)
{
	for (unsigned int i = 0; i < 64; i++) {
		size_t page = rnd_below(arena.pages);
		uint64_t *at = (uint64_t *)(arena.constant + page * PAGE);
		uint64_t expected = pattern_word(page, 0), found;

		if (gen % 2)
			try_store(at, expected);
		if (!try_load(at, &found) && found != expected)
			fail("page %zu has %#lx, expected %#lx, seed %lu", page,
			     found, expected, pattern_seed);
	}
}

static void dropper_round(uint32_t gen)
{
	size_t page = rnd_below(arena.fleeting_pages);
	char *at = arena.fleeting + page * PAGE;

	if (gen % 2)
		advise(at, PAGE, MADV_DONTNEED);
	else
		advise(arena.fleeting, arena.fleeting_pages * PAGE,
		       MADV_DONTNEED);
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t *word, found, expected;

		page = rnd_below(arena.fleeting_pages);
		word = (uint64_t *)(arena.fleeting + page * PAGE);
		expected = pattern_word(page, 1);
		*(volatile uint64_t *)word = expected;
		found = *(volatile uint64_t *)word;
		if (found && found != expected)
			fail("discarded page %zu has %#lx, expected %#lx or 0, seed %lu",
			     page, found, expected, pattern_seed);
	}
}

static void (*const roles[])(uint32_t gen) = {
	mapper_round, flipper_round, reader_round, dropper_round,
};

static void *play(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	rnd_seed(me);
	pin(me / ARRAY_SIZE(roles) + me);
	for (uint32_t gen = 1; !atomic_load(&arena.stop); gen++)
		roles[me % ARRAY_SIZE(roles)](gen);
	return NULL;
}

static void arena_set_up(void)
{
	arena.pages = fit(2 * MIB) / PAGE;
	arena.fleeting_pages = 64;
	arena.constant = map(arena.pages * PAGE, PROT_READ | PROT_WRITE);
	arena.fleeting = map(arena.fleeting_pages * PAGE,
			     PROT_READ | PROT_WRITE);
	fill(arena.constant, arena.pages, 0, 0);
}

static unsigned int some_threads(void)
{
	unsigned int wanted = 2 * nr_cpus + 2;

	return wanted < MAX_THREADS ? wanted : MAX_THREADS;
}

void test_threads(void)
{
	const unsigned int count = some_threads();
	unsigned long ids[MAX_THREADS];

	arena_set_up();
	while (more()) {
		double slice = seconds_left() / 2;

		atomic_store(&arena.stop, false);
		for (uintptr_t i = 0; i < count; i++)
			ids[i] = thread(play, (void *)i);
		usleep(slice < 0.1 ? 100000 : slice * 1e6);
		atomic_store(&arena.stop, true);
		for (unsigned int i = 0; i < count; i++)
			join(ids[i]);
		protect(arena.constant, arena.pages * PAGE,
			PROT_READ | PROT_WRITE);
		verify(arena.constant, arena.pages, 0, 0, "after the threads");
	}
}

static void *short_life(void *arg)
{
	pin((uintptr_t)arg);
	for (uint32_t gen = 1; gen < 4; gen++)
		mapper_round(gen);
	return NULL;
}

enum ending { JOIN, EXIT_ALL, EXIT_MAIN_FIRST, KILL, NR_ENDINGS };

/* A process with threads on all CPUs that ends while they run. */
static __noreturn void end_with_threads(enum ending ending, unsigned int count)
{
	unsigned long ids[MAX_THREADS];

	for (uintptr_t i = 0; i < count; i++)
		ids[i] = thread(ending == JOIN || ending == EXIT_MAIN_FIRST ?
				short_life : play, (void *)i);
	switch (ending) {
	case JOIN:
		for (uint32_t gen = 1; gen < 8; gen++)
			mapper_round(gen);
		for (unsigned int i = 0; i < count; i++)
			join(ids[i]);
		break;
	case EXIT_ALL:
		usleep(rnd_below(5000));
		break;
	case EXIT_MAIN_FIRST:
		/* The last of the others ends the process, with status 0. */
		pthread_exit(NULL);
	default:
		for (;;)
			pause();
	}
	_exit(0);
}

static void thread_exit_round(enum ending ending, unsigned int count)
{
	pid_t pid = spawn();

	if (!pid)
		end_with_threads(ending, count);
	if (ending == KILL) {
		usleep(1000 + rnd_below(5000));
		kill(pid, SIGKILL);
		reap_killed(pid);
	} else {
		reap(pid);
	}
	verify(arena.constant, arena.pages, 0, 0, "parent");
}

void test_thread_exit(void)
{
	const unsigned int count = some_threads();

	arena_set_up();
	while (more())
		for (enum ending ending = 0; ending < NR_ENDINGS; ending++)
			thread_exit_round(ending, count);
}
