// SPDX-License-Identifier: GPL-2.0-only
/* Facts about the machine, for a person and for a script to read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "mmstress.h"

#define HYPERVISOR	"/sys/hypervisor/"

/* One line of a file without its end; empty if there is none. */
static const char *line_of(const char *path, char *buf, size_t size)
{
	if (!read_text(path, buf, size))
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static bool on_xen(void)
{
	char type[16];

	return !strcmp(line_of(HYPERVISOR "type", type, sizeof(type)), "xen");
}

static void print_xen(void)
{
	char major[8], minor[8], extra[32];

	if (!on_xen()) {
		puts("            Xen: none");
		return;
	}
	printf("            Xen: %s.%s%s\n",
	       line_of(HYPERVISOR "version/major", major, sizeof(major)),
	       line_of(HYPERVISOR "version/minor", minor, sizeof(minor)),
	       line_of(HYPERVISOR "version/extra", extra, sizeof(extra)));
}

/* The PVH entry creates a boot header of its own, of this version. */
static bool through_pvh(void)
{
	char version[16];

	return !strcmp(line_of("/sys/kernel/boot_params/version", version,
			       sizeof(version)), "0x020c");
}

static const char *guest_type(void)
{
	static char type[16];

	if (on_xen())
		return line_of(HYPERVISOR "guest_type", type, sizeof(type));
	return through_pvh() ? "PVH without Xen" : "native";
}

static bool in_kallsyms(const char *word)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	bool found = false;
	char line[512];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, word);
	if (file)
		fclose(file);
	return found;
}

/*
 * The Rust backend logs a line when it takes over. If the log has lost its
 * beginning, look for the crate's name, with its length, in the symbols.
 */
static const char *pv_mmu(const char *log)
{
	if (strcmp(guest_type(), "PV"))
		return "none";
	if (strstr(log, "xen_pv_mmu:"))
		return "Rust";
	if (!strstr(log, "Linux version ") && in_kallsyms("10xen_pv_mmu"))
		return "Rust";
	return "C";
}

bool is_rust_backend(void)
{
	char *log = read_klog();
	bool is_rust = !strcmp(pv_mmu(log ? log : ""), "Rust");

	free(log);
	return is_rust;
}

static void print_p2m(const char *log)
{
	const char *line = strstr(log, "p2m virtual area at ");
	unsigned long size;

	if (line && sscanf(line, "p2m virtual area at %*[^,], size is %lx",
			   &size) == 1)
		printf("       p2m size: %lu MiB (virtual)\n", size / MIB);
	else
		puts("       p2m size: none");
}

void print_facts(void)
{
	char *klog = read_klog();
	const char *log = klog ? klog : "";
	struct utsname name;

	uname(&name);
	print_xen();
	printf("          Linux: %s %s\n", name.release, name.version);
	printf("     Guest type: %s\n", guest_type());
	printf("         PV MMU: %s\n", pv_mmu(log));
	printf("  Paging levels: %d\n", paging_levels());
	printf("         Memory: %lu MiB, %lu MiB available\n",
	       meminfo_kb("MemTotal") / KIB, meminfo_kb("MemAvailable") / KIB);
	print_p2m(log);
	printf("           CPUs: %u\n", nr_cpus);
	free(klog);
}
