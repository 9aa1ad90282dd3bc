// SPDX-License-Identifier: GPL-2.0-only
/* LDT segments: the pages of the table are read-only under Xen. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

enum { LDT_READ = 0, LDT_WRITE = 0x11 };

#define ENTRIES		600U		/* more than one page of 8-byte entries */

static int modify_ldt(int func, void *ptr, unsigned long bytes)
{
	/* The kernel returns an int, which syscall() may take for a long. */
	return (int)syscall(SYS_modify_ldt, func, ptr, bytes);
}

static void install(unsigned int entry, const void *base)
{
	struct user_desc desc = {
		.entry_number = entry,
		.base_addr = (uintptr_t)base,
		.limit = PAGE - 1,
		.seg_32bit = 1,
		.useable = 1,
	};

	/* All zero but for these two bits means an empty entry. */
	if (!base) {
		desc = (struct user_desc){ .entry_number = entry,
					   .read_exec_only = 1,
					   .seg_not_present = 1 };
	}
	if (modify_ldt(LDT_WRITE, &desc, sizeof(desc)))
		fail_errno("modify_ldt for entry %u", entry);
}

/* Reads through GS, which user space may use freely; 0 if that faults. */
static uint64_t read_through(unsigned int entry)
{
	unsigned long selector = entry << 3 | 7;
	uint64_t value;

	asm volatile("mov %1, %%gs\n\t"
		     "mov %%gs:0, %0\n\t"
		     "mov %2, %%gs"
		     : "=r" (value) : "r" (selector), "r" (0UL) : "memory");
	return value;
}

static bool loadable(unsigned int entry)
{
	unsigned long selector = entry << 3 | 7;
	bool ok;

	asm volatile("lar %1, %1" : "=@ccz" (ok), "+r" (selector) : : "cc");
	return ok;
}

static void check_table(const uint64_t *page, unsigned int entry)
{
	static uint64_t table[8192];
	int size = modify_ldt(LDT_READ, table, sizeof(table));
	uint64_t desc = table[entry], base;

	if (size < 0)
		fail("modify_ldt could not read: %s", strerror(-size));
	base = (desc >> 16 & 0xffffff) | (desc >> 56 << 24);
	if (base != (uintptr_t)page)
		fail("entry %u has base %#lx, expected %p", entry, base, page);
	if (!loadable(entry))
		fail("entry %u is not loadable", entry);
	if (read_through(entry) != *page)
		fail("entry %u leads to other memory", entry);
}

static void *check_in_thread(void *page)
{
	pin(1);
	check_table(page, 0);
	check_table(page, ENTRIES - 1);
	return NULL;
}

void test_ldt(void)
{
	uint64_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (page == MAP_FAILED)
		fail_errno("mmap below 4 GiB");
	for (uint32_t gen = 1; more(); gen++) {
		pid_t pid = spawn();

		if (pid) {
			reap(pid);
			continue;
		}
		fill(page, 1, 0, gen);
		for (unsigned int i = 0; i < ENTRIES; i += 1 + rnd_below(100))
			install(i, page);
		install(ENTRIES - 1, page);
		check_table(page, 0);
		/* Inherited by a child, shared with a thread. */
		pid = spawn();
		if (!pid) {
			check_table(page, ENTRIES - 1);
			install(1, page);
			check_table(page, 1);
			_exit(0);
		}
		join(thread(check_in_thread, page));
		reap(pid);
		install(0, NULL);
		if (loadable(0))
			fail("an entry is loadable after it was cleared");
		check_table(page, ENTRIES - 1);
		_exit(0);
	}
}
