// SPDX-License-Identifier: GPL-2.0-only
/* The machine sleeps (ACPI S3), twice in a row; memory must not change. */
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define STATE	"/sys/power/state"
#define TIMES	2

void test_sleep(void)
{
	const size_t size = fit(16 * MIB), pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);

	if (access(STATE, W_OK))
		skip("this machine does not sleep");
	for (uint32_t gen = 1; gen <= TIMES; gen++) {
		pid_t pid;

		fill(mem, pages, 0, gen);
		if (!write_text(STATE, "mem"))
			fail_errno("sleep %u", gen);
		verify(mem, pages, 0, gen, "after a sleep");
		pid = spawn();
		if (!pid) {
			verify(mem, pages, 0, gen, "in a child");
			_exit(0);
		}
		reap(pid);
	}
	unmap(mem, size);
}
