// SPDX-License-Identifier: GPL-2.0-only
/* A small load on Xen, for tests that count or trace it. */
#include <sys/mman.h>
#include <unistd.h>

#include "mmstress.h"

void keep_busy(void)
{
	char *mem = map_aligned(PMD, PMD);
	pid_t pid;

	small_pages(mem, PMD);
	fill(mem, BUSY_PAGES, 0, 1);
	protect(mem, BUSY_PAGES * PAGE, PROT_READ);
	protect(mem, BUSY_PAGES * PAGE, PROT_READ | PROT_WRITE);
	pid = spawn();
	if (!pid)
		_exit(0);
	reap(pid);
	unmap(mem, PMD);
}
