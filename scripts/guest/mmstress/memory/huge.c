// SPDX-License-Identifier: GPL-2.0-only
/* Huge mappings: correct where the CPU has them, absent where it does not. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

static const char *const counters[] = {
	"AnonHugePages", "ShmemPmdMapped", "FilePmdMapped",
};

/* Xen offers no PSE to a PV guest: no entry may claim to be a huge page. */
static void check_counters(bool pse)
{
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		long kb = meminfo_kb(counters[i]);

		if (kb > 0 && !pse)
			fail("%s is %ld kB but the CPU has no huge pages",
			     counters[i], kb);
	}
}

static void check_anon(uint32_t gen, bool pse)
{
	size_t size = fit(4 * MIB) & -PMD;
	size_t pages = size / PAGE;
	char *mem;

	if (!size)
		skip("less than 2 MiB to spare");
	mem = map_aligned(size, PMD);
	/* Fails where the kernel knows that huge pages are impossible. */
	madvise(mem, size, MADV_HUGEPAGE);
	fill(mem, pages, 0, gen);
	check_counters(pse);
	/* A hole in a possible huge page. */
	unmap(mem + PMD / 2, PAGE);
	must_fault(mem + PMD / 2, false, "hole");
	protect(mem, PAGE, PROT_READ);
	must_fault(mem, true, "read-only page");
	verify(mem, PMD / 2 / PAGE, 0, gen, "before the hole");
	unmap(mem, size);
}

/* A private tmpfs that would use huge pages if it could. */
static int huge_file(size_t size)
{
	static const char dir[] = "/tmp/mmstress-huge";
	int fd = -1;

	mkdir(dir, 0700);
	if (!mount("tmpfs", dir, "tmpfs", 0, "huge=always")) {
		fd = open(dir, O_TMPFILE | O_RDWR, 0600);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	if (fd >= 0 && ftruncate(fd, size))
		fail_errno("ftruncate");
	return fd;
}

static void check_file(uint32_t gen, bool pse)
{
	size_t size = fit(4 * MIB), pages = size / PAGE;
	int fd = huge_file(size);
	char *mem;

	/* A file may not claim to have them either. */
	if (!pse && fd >= 0)
		fail("tmpfs takes huge=always but the CPU has no huge pages");
	if (fd < 0 && pse)
		skip("no huge pages for tmpfs in this kernel");
	if (fd < 0)
		return;
	mem = map_file(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
	fill(mem, pages, 0, gen);
	check_counters(pse);
	advise(mem, size, MADV_DONTNEED);
	verify(mem, pages, 0, gen, "tmpfs with huge=always");
	check_counters(pse);
	unmap(mem, size);
	close(fd);
}

void test_large_folio(void)
{
	bool pse = cpu_has("pse");

	/* Once: the kernel logs that it refuses the mount option. */
	check_file(0, pse);
	for (uint32_t gen = 1; more(); gen++)
		check_anon(gen, pse);
}
