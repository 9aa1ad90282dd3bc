// SPDX-License-Identifier: GPL-2.0-only
/* Compares the Rust backend's files in debugfs with known facts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define DIR	"/sys/kernel/debug/xen/pvmmu/"

/* Whole files, to be freed by the caller. They show frames, so only root may read them. */
static char *show(const char *path)
{
	struct stat st;
	char *text;

	if (!is_rust_backend())
		skip("only for the Rust backend");
	text = slurp(path);
	if (!text || stat(path, &st))
		fail_errno("%s", path);
	if (st.st_uid || st.st_mode & 077)
		fail("%s has mode %o of user %u", path, st.st_mode, st.st_uid);
	return text;
}

/* ops */

#define SLOTS		36
#define RUN_TIME_SLOTS	12

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

/* Every slot has a function of the backend, and none of start of day is left. */
void test_debugfs_ops(void)
{
	char *text = show(DIR "ops"), *rest;
	unsigned int slots = 0, late = 0;

	for (char *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char slot[64], since[16], symbol[128];

		if (sscanf(line, "%63s %15s %127s", slot, since, symbol) != 3)
			fail("ops has a line '%s'", line);
		if (strncmp(symbol, "xen_", 4) &&
		    strncmp(symbol, "__raw_callee_save_xen_", 22))
			fail("slot %s is %s", slot, symbol);
		if (ends_with(symbol, "_init") || ends_with(symbol, "_hyper"))
			fail("slot %s still is %s", slot, symbol);
		slots++;
		late += !strcmp(since, "run-time");
	}
	free(text);
	if (slots != SLOTS || late != RUN_TIME_SLOTS)
		fail("ops has %u slots, %u of them changed at run time", slots,
		     late);
}

/* p2m */

struct p2m {
	unsigned long end, local;
	bool mine;		/* the test's page is in a range of local frames */
};

static struct p2m read_p2m(unsigned long mine)
{
	char *text = show(DIR "p2m"), *rest;
	struct p2m p2m = { 0 };

	for (char *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		unsigned long start, end;
		char kind[16];

		if (sscanf(line, "%lx %lx %15s", &start, &end, kind) != 3)
			fail("p2m has a line '%s'", line);
		if (start != p2m.end || end <= start)
			fail("'%s' follows a range up to %#lx", line, p2m.end);
		p2m.end = end;
		if (!strcmp(kind, "local")) {
			p2m.local += end - start;
			p2m.mine |= mine >= start && mine < end;
		} else if (strcmp(kind, "missing") && strcmp(kind, "identity") &&
			   strcmp(kind, "foreign")) {
			fail("p2m has a line '%s'", line);
		}
	}
	free(text);
	return p2m;
}

/* The size that the kernel logged at boot. */
static unsigned long p2m_words(void)
{
	char *log = read_klog();
	const char *line = log ? strstr(log, "p2m virtual area at ") : NULL;
	unsigned long size;

	if (!line || sscanf(line, "p2m virtual area at %*[^,], size is %lx",
			    &size) != 1)
		fail("the kernel's log lacks the size of the p2m list");
	free(log);
	return size / sizeof(unsigned long);
}

/* Ranges without gaps, up to the end of the list; they contain the test's memory. */
void test_debugfs_p2m(void)
{
	unsigned long total = meminfo_kb("MemTotal") * KIB / PAGE;
	char *page = map(PAGE, PROT_READ | PROT_WRITE);
	unsigned long words;

	free(show(DIR "p2m"));
	words = p2m_words();
	small_pages(page, PAGE);
	while (more()) {
		struct p2m p2m;

		fill(page, 1, 0, 1);
		p2m = read_p2m(pagemap(page) & PM_PFN);
		if (p2m.end != words)
			fail("p2m ends at %#lx, the list at %#lx", p2m.end,
			     words);
		/* The kernel reserves some memory, and a balloon may be active. */
		if (p2m.local + 128 * MIB / PAGE < total ||
		    p2m.local > total + total / 4 + 128 * MIB / PAGE)
			fail("p2m has %lu local frames, memory is %lu pages",
			     p2m.local, total);
		if (!p2m.mine)
			fail("the frame of the test's page is not local");
	}
}

/* stats */

static unsigned long counted(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoul(line + len, NULL, 10);
	}
	fail("stats have no '%s'", name);
}

/* A histogram's lines are "NAME FROM COUNT". */
static unsigned long sum_of(const char *text, const char *name)
{
	size_t len = strlen(name);
	unsigned long sum = 0, count;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, len) &&
		    sscanf(line + len, " %*u %lu", &count) == 1)
			sum += count;
	}
	return sum;
}

static void must_count(const char *text, const char *name, unsigned long least)
{
	unsigned long count = counted(text, name);

	if (count < least)
		fail("'%s' is %lu, at least %lu happened", name, count, least);
}

static void set_counting(const char *value)
{
	char now[4];

	if (!write_text(DIR "stats_on", value))
		fail_errno("write of %s to stats_on", value);
	if (!read_text(DIR "stats_on", now, sizeof(now)) || now[0] != value[0])
		fail("stats_on is %s instead of %s", now, value);
}

static void check_counts(const char *text)
{
	/* Each page is set once and write-protected once. */
	must_count(text, "elements mmu_update", 2 * BUSY_PAGES);
	must_count(text, "hypercall multicall", 1);
	must_count(text, "hypercall mmuext_op", 1);
	must_count(text, "flush any", 1);
	must_count(text, "tree pinned", 1);
	must_count(text, "tree unpinned", 1);
	must_count(text, "table made", 1);
	must_count(text, "table released", 1);
	must_count(text, "tlb root_loaded", 1);
	/* fork write-protects each page, and munmap clears its entry. */
	must_count(text, "trap avoided", 2 * BUSY_PAGES);
	if (sum_of(text, "multicall_calls") !=
	    counted(text, "hypercall multicall"))
		fail("lengths of multicalls are not counted once each");
	if (sum_of(text, "mmu_update_elements") !=
	    counted(text, "hypercall mmu_update") +
	    counted(text, "in_multicall mmu_update"))
		fail("lengths of updates are not counted once each");
}

/* Counters move while they are on and rest while they are off. */
void test_debugfs_stats(void)
{
	free(show(DIR "stats"));
	while (more()) {
		char *before, *after;

		set_counting("1");
		keep_busy();
		set_counting("0");
		/* Code that was about to count when counting was turned off is done by then. */
		usleep(20000);
		before = show(DIR "stats");
		check_counts(before);
		keep_busy();
		after = show(DIR "stats");
		if (strcmp(before, after))
			fail("something was counted while counting was off");
		free(before);
		free(after);
	}
}

/* tables */

struct tables {
	unsigned long level[4], user_roots, not_pinned;
};

static struct tables tables_of(pid_t pid)
{
	char *text = show(DIR "tables"), *rest;
	struct tables tables = { 0 };
	bool found = false;

	for (char *line = strtok_r(text, "\n", &rest); line && !found;
	     line = strtok_r(NULL, "\n", &rest)) {
		int of;

		found = sscanf(line, "%d %lu %lu %lu %lu %lu %lu", &of,
			       &tables.level[0], &tables.level[1],
			       &tables.level[2], &tables.level[3],
			       &tables.user_roots, &tables.not_pinned) == 7 &&
			of == pid;
	}
	free(text);
	if (!found)
		fail("tables has no line for %d", pid);
	return tables;
}

#define SPOTS	8UL

/* All are pinned, and each 2 MiB that is touched adds a table. */
void test_debugfs_tables(void)
{
	struct tables kernel = tables_of(0);

	if (kernel.level[3] != 1 || !kernel.level[2] || !kernel.level[1] ||
	    !kernel.level[0] || kernel.not_pinned)
		fail("the kernel has %lu roots, %lu tables are not pinned",
		     kernel.level[3], kernel.not_pinned);
	while (more()) {
		char *mem = map_aligned(SPOTS * PMD, PMD);
		struct tables before, after;

		small_pages(mem, SPOTS * PMD);
		before = tables_of(getpid());
		for (size_t spot = 0; spot < SPOTS; spot++)
			mem[spot * PMD] = 1;
		after = tables_of(getpid());
		if (after.level[3] != 2 || after.user_roots != 1 ||
		    after.not_pinned)
			fail("%lu roots, %lu for user mode, %lu tables not pinned",
			     after.level[3], after.user_roots, after.not_pinned);
		if (after.level[0] < before.level[0] + SPOTS)
			fail("%lu tables of level 1 became %lu", before.level[0],
			     after.level[0]);
		unmap(mem, SPOTS * PMD);
	}
}
