// SPDX-License-Identifier: GPL-2.0-only
/* The trace events of the Xen port show what a process does. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define DIR	"/sys/kernel/tracing/"

/* The earlier contents are dropped. */
static void set(const char *file, const char *value)
{
	ssize_t len = strlen(value);
	char path[64];
	int fd;

	snprintf(path, sizeof(path), DIR "%s", file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || (len && write(fd, value, len) != len))
		fail_errno("write of '%s' to %s", value, path);
	close(fd);
}

static unsigned long nr_events(const char *trace, const char *name)
{
	unsigned long nr = 0;
	char event[64];

	snprintf(event, sizeof(event), " %s: ", name);
	while ((trace = strstr(trace, event))) {
		trace += strlen(event);
		nr++;
	}
	return nr;
}

static void check_trace(const char *trace)
{
	static const struct {
		const char *name;
		unsigned long least;
	} events[] = {
		{ "xen_mc_batch", 1 },
		{ "xen_mc_issue", 1 },
		{ "xen_mc_entry", 1 },
		{ "xen_mc_flush", 1 },
		{ "xen_mmu_set_pte", 1 },
		{ "xen_mmu_set_pmd", 1 },
		{ "xen_mmu_set_pud", 1 },
		{ "xen_mmu_set_p4d", 1 },
		{ "xen_mmu_ptep_modify_prot_start", BUSY_PAGES },
		{ "xen_mmu_ptep_modify_prot_commit", 2 * BUSY_PAGES },
		{ "xen_mmu_alloc_ptpage", 1 },
		{ "xen_mmu_release_ptpage", 1 },
		{ "xen_mmu_pgd_pin", 1 },
		{ "xen_mmu_pgd_unpin", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		unsigned long nr = nr_events(trace, events[i].name);

		if (nr < events[i].least)
			fail("%lu of %s, at least %lu happened", nr,
			     events[i].name, events[i].least);
	}
}

/* Events of this process and its children, while they are on. */
void test_trace_events(void)
{
	char pid[16];

	if (!is_rust_backend() || access(DIR "events/xen/enable", W_OK))
		skip("no Rust backend, or no trace events");
	snprintf(pid, sizeof(pid), "%d", getpid());
	while (more()) {
		char *trace;

		set("set_event_pid", pid);
		set("options/event-fork", "1");
		set("trace", "");
		set("events/xen/enable", "1");
		keep_busy();
		set("events/xen/enable", "0");
		set("set_event_pid", "");
		trace = slurp(DIR "trace");
		if (!trace)
			fail_errno("the trace");
		check_trace(trace);
		free(trace);
		keep_busy();
	}
}

/* The commands of the admin guide. */
void test_trace_guide(void)
{
	if (!is_rust_backend() || access(DIR "events/xen/enable", W_OK))
		skip("no Rust backend, or no trace events");
	while (more()) {
		unsigned long pins = 0;
		int found, status;
		FILE *shell;

		set("trace", "");
		shell = popen("sh -e /root/trace-events.sh", "re");
		if (!shell)
			fail_errno("sh");
		found = fscanf(shell, "%lu", &pins);
		status = pclose(shell);
		if (found != 1 || status || !pins)
			fail("status %#x, %lu times pinned", status, pins);
	}
}

/*
 * All kernel functions are traced at entry and return, in any context.
 *
 * One CPU is online: the kernel replaces an instruction of each function with
 * a breakpoint and back, and an emulator with a thread for each CPU may run the
 * breakpoint once more after that, if it was translated while it was replaced.
 */
void test_trace_functions(void)
{
	if (access(DIR "available_filter_functions", R_OK))
		skip("functions cannot be traced");
	set_others_online(false);
	while (more()) {
		char *trace;

		set("buffer_size_kb", "64");
		set("current_tracer", "function_graph");
		keep_busy();
		set("tracing_on", "0");
		trace = slurp(DIR "trace");
		if (!trace)
			fail_errno("the trace");
		if (!strstr(trace, "xen_"))
			fail("the trace has no function of Xen");
		free(trace);
		set("current_tracer", "nop");
		set("tracing_on", "1");
		set("buffer_size_kb", "1408");
	}
	set_others_online(true);
}
