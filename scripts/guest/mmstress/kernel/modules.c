// SPDX-License-Identifier: GPL-2.0-only
/* Loads, uses and unloads modules: the samples, and out-of-tree ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

/* Returns whether that worked; skips if the image has no such module. */
static bool load(const char *name, const char *parameters)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/lib/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		skip("no %s in the image", path);
	ret = syscall(SYS_finit_module, fd, parameters, 0);
	close(fd);
	return !ret;
}

static void unload(const char *name)
{
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		fail_errno("unload of %s", name);
}

/* static_call_sample */

#define STATIC_CALL	"static_call_sample"

static void must_have_said(const char *text)
{
	char *log = read_klog();

	if (!log)
		fail_errno("the kernel's log");
	if (!strstr(log, text))
		fail("the kernel never printed '%s'", text);
	free(log);
}

/* The update changes the target, and the results show which one is called. */
void test_static_call(void)
{
	while (more()) {
		unsigned long n = 3 + rnd_below(998);
		char text[64];

		snprintf(text, sizeof(text), "number=%lu", n);
		if (!load(STATIC_CALL, text))
			fail_errno("load of %s", STATIC_CALL);
		snprintf(text, sizeof(text), STATIC_CALL ": twice %lu is %lu",
			 n, 2 * n);
		must_have_said(text);
		snprintf(text, sizeof(text), STATIC_CALL ": %lu squared is %lu",
			 n, n * n);
		must_have_said(text);
		unload(STATIC_CALL);
		if (load(STATIC_CALL, "number=1001") || errno != EINVAL)
			fail_errno("1001 is too large and not refused");
	}
}

/* pgtable_dump */

#define DUMP	"pgtable_dump"
#define QUERY	"/sys/kernel/debug/pgtable_dump/query"

/* The contents of the last line. */
struct dump {
	int levels, level;
	bool xen, present, large;
	unsigned long frame;
};

static void ask(pid_t pid, uintptr_t address, char *text, size_t size)
{
	char query[64];

	snprintf(query, sizeof(query), "%d %#lx", pid, address);
	if (!write_text(QUERY, query))
		fail_errno("write of '%s' to %s", query, QUERY);
	if (!read_text(QUERY, text, size))
		fail_errno("%s", QUERY);
}

static void read_line(struct dump *dump, const char *line, uintptr_t address)
{
	const char *frame = strstr(line, " frame ");
	unsigned int index;
	int level;

	if (sscanf(line, "level %d index %u", &level, &index) != 2 ||
	    level != dump->level - 1)
		fail("'%s' follows level %d", line, dump->level);
	dump->level = level;
	if (index != (address >> (12 + 9 * (level - 1)) & 511))
		fail("'%s' is not on the way to %#lx", line, address);
	dump->present = strstr(line, " present");
	if (!strcmp(line + strlen(line) - 11, "not present"))
		dump->present = false;
	dump->large = strstr(line, ",large") && level > 1;
	if (dump->present && dump->xen != !!strstr(line, " machine "))
		fail("'%s' has the wrong kind of frame", line);
	dump->frame = frame ? strtoul(frame + 7, NULL, 16) : 0;
}

static struct dump dump(pid_t pid, uintptr_t address)
{
	struct dump dump = { 0 };
	char text[2048], system[16], *line, *rest;
	unsigned long of;
	int who;

	ask(pid, address, text, sizeof(text));
	line = strtok_r(text, "\n", &rest);
	if (!line || sscanf(line, "pid %d address %lx levels %d %15s", &who,
			    &of, &dump.levels, system) != 4 ||
	    who != pid || of != address)
		fail("the answer to %d %#lx is '%s'", pid, address, line);
	dump.xen = !strcmp(system, "Xen");
	dump.level = dump.levels + 1;
	while ((line = strtok_r(NULL, "\n", &rest)))
		read_line(&dump, line, address);
	return dump;
}

/* A page of the test has the frame that /proc/self/pagemap shows. */
static void check_page(const char *page)
{
	struct dump found;
	uint64_t pfn;

	/* The kernel may move a page at any time, so check more than once. */
	for (unsigned int i = 0; i < 5; i++) {
		pfn = pagemap(page) & PM_PFN;
		found = dump(getpid(), (uintptr_t)page);
		if (found.level == 1 && found.present && found.frame == pfn)
			return;
	}
	fail("the dump ends with level %d, frame %#lx, pagemap shows %#lx",
	     found.level, found.frame, pfn);
}

static uintptr_t kernel_text(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long address = 0;
	char line[512];

	while (file && !address && fgets(line, sizeof(line), file))
		if (strstr(line, " _stext\n"))
			sscanf(line, "%lx", &address);
	if (file)
		fclose(file);
	return address;
}

static void check_kernel(void)
{
	uintptr_t text = kernel_text();
	struct dump found;

	if (!text)
		fail("/proc/kallsyms has no _stext");
	found = dump(0, text);
	if (!found.present || (found.level > 1 && !found.large))
		fail("the dump of the kernel's text ends with level %d",
		     found.level);
}

static void check_errors(const char *unmapped)
{
	char text[2048];

	ask(getpid(), (uintptr_t)unmapped, text, sizeof(text));
	if (!strstr(text, "\nno mapping\n"))
		fail("the dump of an address without a mapping is '%s'", text);
	ask(1 << 30, (uintptr_t)unmapped, text, sizeof(text));
	if (!strstr(text, "\nno such process\n"))
		fail("the dump of a missing process is '%s'", text);
	if (write_text(QUERY, "x"))
		fail("an invalid query is accepted");
}

void test_pgtable_dump(void)
{
	if (!load(DUMP, ""))
		fail_errno("load of %s", DUMP);
	while (more()) {
		char *page = map_aligned(2 * PMD, PMD);
		struct dump found;

		small_pages(page, 2 * PMD);
		page[0] = 1;
		check_page(page);
		/* Next to the page that was touched, and without a table. */
		found = dump(getpid(), (uintptr_t)page + PAGE);
		if (found.level != 1 || found.present)
			fail("an untouched page is present");
		found = dump(getpid(), (uintptr_t)page + PMD);
		if (found.level != 2 || found.present)
			fail("an unneeded table exists");
		if (found.levels != paging_levels())
			fail("the dump has %d levels, the machine %d",
			     found.levels, paging_levels());
		check_kernel();
		unmap(page, 2 * PMD);
		check_errors(page);
	}
	unload(DUMP);
}

/* inline_ptes */

/* The module itself checks each function, and loads only if all work. */
static void check_inlines(const char *name)
{
	char text[64];

	if (!load(name, ""))
		fail_errno("load of %s", name);
	snprintf(text, sizeof(text), "%s: all functions work", name);
	must_have_said(text);
	unload(name);
}

void test_module_inlines(void)
{
	while (more())
		check_inlines("inline_ptes");
}

/* Turns lock debugging off for good. */
void test_module_closed(void)
{
	while (more())
		check_inlines("inline_ptes_closed");
}

/* Both samples, over and over */

#define LOADS		25	/* of each module, in a round */
#define LEAK_KB		(LOADS * 4)	/* if each load loses a page */
#define CHECK_WX	"/sys/kernel/debug/check_wx_pages"

static void load_both(void)
{
	char verdict[32];

	if (!load(STATIC_CALL, "number=7") || !load(DUMP, ""))
		fail_errno("load of %s and %s", STATIC_CALL, DUMP);
	/* Check the rights over all levels, while new code is loaded. */
	if (read_text(CHECK_WX, verdict, sizeof(verdict)) &&
	    strncmp(verdict, "SUCCESS", 7))
		fail("with modules loaded, check_wx_pages reports %s", verdict);
	unload(STATIC_CALL);
	unload(DUMP);
}

/* Memory for code is freed late, and processes have stacks there as well. */
static void must_not_leak(long before)
{
	double limit = now() + 10;
	long more_kb;

	while ((more_kb = meminfo_kb("VmallocUsed") - before) >= LEAK_KB) {
		if (now() > limit)
			fail("%ld kB more are used after %d loads", more_kb,
			     LOADS);
		usleep(50000);
	}
}

/* Code memory is allocated and freed; all other memory must not change. */
void test_module_storm(void)
{
	const size_t pages = 256;
	char *mem = map(pages * PAGE, PROT_READ | PROT_WRITE);

	load_both();
	for (uint32_t gen = 1; more(); gen++) {
		long before = meminfo_kb("VmallocUsed");

		fill(mem, pages, 0, gen);
		for (unsigned int i = 0; i < LOADS; i++) {
			pid_t pid = spawn();

			if (!pid) {
				pin(i + 1);
				fill(mem, pages, 0, ~gen);
				verify(mem, pages, 0, ~gen, "in a child");
				_exit(0);
			}
			load_both();
			reap(pid);
			verify(mem, pages, 0, gen, "beside modules");
		}
		must_not_leak(before);
	}
}
