// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls that fail on request: what the process sees, what the kernel
 * reports, and that nothing else changes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inject.h"
#include "../tests.h"

#define PTE_RW		2UL
#define CMD_PIN_L1	0UL
#define CMD_PIN_L4	3UL
#define CMD_UNPIN	4UL

/* The index of the entry for @page in its table, and a bit of the new entry. */
static void expect_entry(const struct refusal *r, const char *page, bool rw)
{
	unsigned long place = (uintptr_t)page / PAGE % 512 * 8;

	if ((r->target & 0xff8) != place)
		fail("target %#lx, expected one with %#lx", r->target, place);
	if (!(r->value & PTE_RW) == rw)
		fail("value %#lx, expected %s", r->value,
		     rw ? "a writable one" : "a read-only one");
}

/* Makes pages read-only; @times of them fail, from number @index on. */
static void refuse_protection(char *mem, size_t pages, unsigned int index,
			      unsigned int times, int error)
{
	const unsigned int expected = times < MAX_FLUSH ? times : MAX_FLUSH;
	struct refusal reports[MAX_FLUSH];
	unsigned int refused;

	fill(mem, pages, 0, index + error);
	arm("fail_protection", index, times, error, expected);
	protect(mem, pages * PAGE, PROT_READ);
	refused = disarm("fail_protection", times);
	if (refused != times)
		fail("%u of %u operations failed", refused, times);
	expect_reports(reports, expected, times - expected);
	for (unsigned int i = 0; i < expected; i++) {
		expect_error(&reports[i], "mmu_update", error);
		expect_entry(&reports[i], mem + (index + i) * PAGE, false);
	}
	for (size_t page = 0; page < pages; page++) {
		bool stays = page >= index && page < index + times;
		int sig = try_write(mem + page * PAGE);

		if (sig != (stays ? 0 : SIGSEGV))
			fail("page %zu: signal %d, refused were %u from %u on",
			     page, sig, times, index);
	}
	protect(mem, pages * PAGE, PROT_READ | PROT_WRITE);
	for (size_t page = 0; page < pages; page++)
		if (try_write(mem + page * PAGE))
			fail("page %zu stays read-only", page);
	verify(mem, pages, 0, index + error, "after refused protections");
}

/* Changes of protection: batches of 128, each element of which may fail. */
void test_fault_protect(void)
{
	const unsigned int indices[] = { 0, 1, 63, 127, 128, 299 };
	const size_t pages = 300;
	struct witness witness;
	char *mem;

	need_faults();
	witness = call_witness();
	/* In one table: there is a flush at the end of each. */
	mem = map_aligned(pages * PAGE, PMD);
	small_pages(mem, pages * PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++)
		refuse_protection(mem, pages, indices[i], 1,
				  errors[i % ARRAY_SIZE(errors)]);
	refuse_protection(mem, pages, 10, MAX_FLUSH, EBUSY);
	/* More than are reported one by one. */
	refuse_protection(mem, pages, 10, 20, EBUSY);
	unmap(mem, pages * PAGE);
	hear_witness(witness);
	print_counts();
}

/* A write fault sets an entry by a direct call; it recurs if that fails. */
void test_fault_write(void)
{
	const size_t pages = 16;
	struct witness witness;
	char *mem;

	need_faults();
	/* A page in the LRU batch of another CPU would be copied, not reused. */
	pin(0);
	witness = call_witness();
	mem = map(pages * PAGE, PROT_READ | PROT_WRITE);
	small_pages(mem, pages * PAGE);
	for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
		char *page = mem + rnd_below(pages) * PAGE;
		struct refusal report;
		unsigned int refused;
		pid_t pid;

		fill(mem, pages, 0, e);
		/* Leaves the pages read-only, and not shared. */
		pid = spawn();
		if (!pid)
			_exit(0);
		reap(pid);
		arm("fail_update", 0, 1, errors[e], 1);
		*(volatile uint64_t *)page = pattern_word((page - mem) / PAGE, e);
		refused = disarm("fail_update", 1);
		if (refused != 1)
			fail("no operation failed");
		expect_reports(&report, 1, 0);
		expect_error(&report, "mmu_update", errors[e]);
		expect_entry(&report, page, true);
		verify(mem, pages, 0, e, "at a refused write fault");
		fill(mem, pages, 0, ~e);
		verify(mem, pages, 0, ~e, "after a refused write fault");
	}
	unmap(mem, pages * PAGE);
	hear_witness(witness);
	print_counts();
}

/* Forks while pin @index is refused; returns whether there was such a pin. */
static bool refuse_pin(char *mem, size_t pages, unsigned int index, int error)
{
	struct refusal reports[2];
	unsigned int refused;
	pid_t pid;

	fill(mem, pages, 0, index);
	arm("fail_pin", index, 1, error, 2);
	pid = spawn();
	if (!pid) {
		write_text(MAKE_IT_FAIL, "0");
		verify(mem, pages, 0, index, "child");
		fill(mem, pages, 0, ~index);
		protect(mem, pages * PAGE, PROT_READ);
		verify(mem, pages, 0, ~index, "child");
		unmap(mem, pages * PAGE);
		_exit(0);
	}
	refused = disarm("fail_pin", 1);
	reap(pid);
	verify(mem, pages, 0, index, "parent");
	if (!refused) {
		expect_reports(reports, 0, 0);
		return false;
	}
	/* A table that is not pinned cannot be unpinned: the second failure is Xen's. */
	expect_reports(reports, 2, 0);
	expect_error(&reports[0], "mmuext_op", error);
	expect_error(&reports[1], "mmuext_op", EINVAL);
	if (reports[0].target != CMD_PIN_L1 && reports[0].target != CMD_PIN_L4)
		fail("command %lu is no pin", reports[0].target);
	if (reports[1].target != CMD_UNPIN || reports[1].value != reports[0].value)
		fail("%#lx was not pinned, %#lx not unpinned",
		     reports[0].value, reports[1].value);
	return true;
}

/* Tables and roots that Xen does not pin: Xen validates them when they are used. */
void test_fault_pin(void)
{
	const size_t pages = 8;
	struct witness witness;
	unsigned int index = 0;
	char *mem;

	need_faults();
	witness = call_witness();
	mem = map(pages * PAGE, PROT_READ | PROT_WRITE);
	while (refuse_pin(mem, pages, index, errors[index % ARRAY_SIZE(errors)]))
		index++;
	/* At least a table and the two roots. */
	if (index < 3)
		fail("only %u pins", index);
	unmap(mem, pages * PAGE);
	hear_witness(witness);
	print_counts();
}

/* No memory for the user root: fork fails, and leaves nothing behind. */
void test_fault_fork(void)
{
	const unsigned int forks = 1024;
	struct witness witness;
	long before = 0, less;
	double limit;

	need_faults();
	witness = call_witness();
	for (unsigned int i = 0; i < forks + forks / 4; i++) {
		unsigned int failed;
		pid_t pid;

		/* The first ones fill the caches. */
		if (i == forks / 4)
			before = meminfo_kb("MemFree");
		set_fault("fail_alloc", "times", 1);
		set_fault("fail_alloc", "probability", 100);
		write_text(MAKE_IT_FAIL, "1");
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0 || errno != ENOMEM)
			fail("fork() gave %d, %s", pid, strerrorname_np(errno));
		failed = disarm("fail_alloc", 1);
		if (failed != 1)
			fail("%u allocations failed", failed);
	}
	/* One lost page for each would be twice the limit; some memory is freed late. */
	limit = now() + 10;
	while ((less = before - meminfo_kb("MemFree")) > (long)(2 * forks)) {
		if (now() > limit)
			fail("%ld kB less are free", less);
		usleep(100000);
	}
	hear_witness(witness);
	print_counts();
}
