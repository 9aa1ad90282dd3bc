// SPDX-License-Identifier: GPL-2.0-only
/* Access rights, granted and revoked. */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

static void protect_rounds(size_t size)
{
	size_t pages = size / PAGE;
	char *mem = map(size, PROT_READ | PROT_WRITE);
	char *last = mem + size - PAGE;

	/* Rights are per page: no huge pages, wherever this runs. */
	small_pages(mem, size);
	for (uint32_t gen = 1; more(); gen++) {
		char *some = mem + rnd_below(pages) * PAGE;

		fill(mem, pages, 0, gen);
		protect(mem, size, PROT_READ);
		must_fault(mem, true, "first page read-only");
		must_fault(some, true, "some page read-only");
		must_fault(last, true, "last page read-only");
		verify(mem, pages, 0, gen, "read-only");
		protect(mem, size, PROT_READ | PROT_WRITE);
		verify(mem, pages, 0, gen, "writable again");
		fill(mem, pages, 0, ~gen);
		protect(mem, size, PROT_NONE);
		must_fault(mem, false, "first page PROT_NONE");
		must_fault(some, false, "some page PROT_NONE");
		must_fault(last, true, "last page PROT_NONE");
		/* The changed page splits the area; changing it back merges it again. */
		protect(some, PAGE, PROT_READ);
		verify(some, 1, (some - mem) / PAGE, ~gen, "single page");
		must_fault(some, true, "single page");
		protect(mem, size, PROT_READ | PROT_WRITE);
		verify(mem, pages, 0, ~gen, "accessible again");
	}
}

void test_mprotect_page(void)
{
	protect_rounds(PAGE);
}

void test_mprotect_16m(void)
{
	protect_rounds(fit(16 * MIB));
}

void test_no_exec(void)
{
	/* lea (%rdi,%rsi), %rax; ret */
	static const unsigned char code[] = { 0x48, 0x8d, 0x04, 0x37, 0xc3 };
	const size_t pages = 16;
	unsigned char *mem;

	if (!cpu_has("nx"))
		skip("the CPU runs any page");
	mem = map(pages * PAGE, PROT_READ | PROT_WRITE);
	while (more()) {
		unsigned char *fn = mem + rnd_below(pages) * PAGE;
		unsigned long a = rnd(), b = rnd(), sum = 0;
		int sig;

		for (size_t i = 0; i < sizeof(code); i++)
			fn[i] = code[i];
		if (try_call(fn, a, b, &sum) != SIGSEGV)
			fail("a page without PROT_EXEC ran at %p", fn);
		protect(mem, pages * PAGE, PROT_READ | PROT_EXEC);
		sig = try_call(fn, a, b, &sum);
		if (sig || sum != a + b)
			fail("code gave signal %d, result %#lx", sig, sum);
		must_fault(fn, true, "executable page");
		protect(mem, pages * PAGE, PROT_READ | PROT_WRITE);
		if (try_call(fn, a, b, &sum) != SIGSEGV)
			fail("a page ran at %p after PROT_EXEC was removed", fn);
	}
}

enum end { END_UNMAP, END_RESTORE, END_DISCARD, END_FORK, END_EXIT, NR_ENDS };

/* A touched mapping becomes inaccessible and is then removed by @end. */
static void prot_none_end(char *mem, size_t pages, uint32_t gen, enum end end,
			  bool discardable)
{
	size_t size = pages * PAGE;
	pid_t pid;

	fill(mem, pages, 0, gen);
	protect(mem, size, PROT_NONE);
	must_fault(mem + rnd_below(pages) * PAGE, rnd_below(2), "PROT_NONE");
	switch (end) {
	case END_RESTORE:
		protect(mem, size, PROT_READ | PROT_WRITE);
		verify(mem, pages, 0, gen, "after PROT_NONE");
		protect(mem, size, PROT_NONE);
		break;
	case END_DISCARD:
		advise(mem, size, MADV_DONTNEED);
		protect(mem, size, PROT_READ);
		if (discardable && !is_zero_page(mem))
			fail("a discarded page is not zero");
		break;
	case END_FORK:
	case END_EXIT:
		pid = spawn();
		if (!pid && end == END_EXIT)
			_exit(0);
		if (!pid) {
			protect(mem, size, PROT_READ | PROT_WRITE);
			verify(mem, pages, 0, gen, "child after PROT_NONE");
			_exit(0);
		}
		reap(pid);
		break;
	default:
		break;
	}
	unmap(mem, size);
	must_fault(mem, false, "unmapped");
}

static void prot_none_round(uint32_t gen, enum end end)
{
	const int rw = PROT_READ | PROT_WRITE;
	size_t pages = end == END_UNMAP ? fit(MIB) / PAGE : 1 + rnd_below(32);
	size_t size = pages * PAGE;
	int fd = tmpfs_file(size);

	prot_none_end(map(size, rw), pages, gen, end, true);
	prot_none_end(map_file(fd, size, rw, MAP_SHARED), pages, gen + 1, end,
		      false);
	prot_none_end(map_file(fd, size, rw, MAP_PRIVATE), pages, gen + 2, end,
		      false);
	close(fd);
}

/* With PAGE_TABLE_CHECK the kernel notices pages with a wrong count. */
void test_prot_none(void)
{
	for (uint32_t gen = 1; more(); gen++)
		for (enum end end = 0; end < NR_ENDS; end++)
			prot_none_round(gen, end);
}
