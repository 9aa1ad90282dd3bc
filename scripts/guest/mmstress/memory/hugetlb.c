// SPDX-License-Identifier: GPL-2.0-only
/* hugetlbfs: offered where the CPU has huge pages, refused everywhere else. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define POOL	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define PAGES	4UL

static void *huge_map(int size)
{
	return mmap(NULL, PAGES * PMD, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | size, -1, 0);
}

static bool can_mount(void)
{
	static const char dir[] = "/tmp/mmstress-hugetlb";
	bool mounted;

	mkdir(dir, 0700);
	mounted = !mount("hugetlbfs", dir, "hugetlbfs", 0, NULL);
	if (mounted)
		umount2(dir, MNT_DETACH);
	rmdir(dir);
	return mounted;
}

static unsigned long mapped_pages(void)
{
	char text[128];
	unsigned long pages;

	if (!read_text("/proc/self/statm", text, sizeof(text)) ||
	    sscanf(text, "%lu", &pages) != 1)
		fail_errno("/proc/self/statm");
	return pages;
}

/* Every interface refuses, and leaves nothing behind. */
static void check_refused(void)
{
	static const int sizes[] = { 0, MAP_HUGE_2MB, MAP_HUGE_1GB };
	unsigned long before = mapped_pages(), after;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (huge_map(sizes[i]) != MAP_FAILED)
			fail("mmap of huge pages worked with size %#x", sizes[i]);
	if (memfd_create("mmstress", MFD_HUGETLB) >= 0)
		fail("memfd_create made a file of huge pages");
	if (shmget(IPC_PRIVATE, PMD, IPC_CREAT | SHM_HUGETLB | 0600) >= 0)
		fail("shmget made a segment of huge pages");
	if (can_mount())
		fail("hugetlbfs can be mounted");
	if (write_text(POOL, "1"))
		fail("huge pages can be reserved");
	if (meminfo_kb("HugePages_Total") > 0 || meminfo_kb("Hugetlb") > 0)
		fail("the kernel counts %ld kB of huge pages",
		     meminfo_kb("Hugetlb"));
	after = mapped_pages();
	if (after != before)
		fail("%lu pages are mapped, %lu were before", after, before);
}

static void set_pool(unsigned long pages)
{
	char text[16];

	snprintf(text, sizeof(text), "%lu", pages);
	if (!write_text(POOL, text))
		fail_errno("write of %s to %s", text, POOL);
}

static void check_offered(uint32_t gen)
{
	char *mem;
	pid_t pid;

	if (!can_mount())
		fail_errno("hugetlbfs");
	set_pool(2 * PAGES);
	mem = huge_map(0);
	if (mem == MAP_FAILED)
		fail_errno("mmap of huge pages");
	fill(mem, PAGES * PMD / PAGE, 0, gen);
	pid = spawn();
	if (!pid) {
		fill(mem, PMD / PAGE, 0, ~gen);
		verify(mem, PMD / PAGE, 0, ~gen, "a child's huge page");
		_exit(0);
	}
	reap(pid);
	verify(mem, PAGES * PMD / PAGE, 0, gen, "huge pages");
	unmap(mem, PAGES * PMD);
	set_pool(0);
}

void test_hugetlb(void)
{
	char filesystems[4 * KIB];
	bool pse = cpu_has("pse");

	if (pse && (!read_text("/proc/filesystems", filesystems,
			       sizeof(filesystems)) ||
		    !strstr(filesystems, "\thugetlbfs\n")))
		skip("no hugetlbfs in this kernel");
	for (uint32_t gen = 1; more(); gen++)
		if (pse)
			check_offered(gen);
		else
			check_refused();
}
