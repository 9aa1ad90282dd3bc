// SPDX-License-Identifier: GPL-2.0-only
/* An image to boot: the kernel builds page tables for it that Xen never sees. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kexec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define ROUNDS	5
#define PLACE	(32 * MIB)

static bool load(const struct kexec_segment *segments, unsigned long count)
{
	return !syscall(SYS_kexec_load, count ? PLACE : 0, count, segments, KEXEC_ARCH_DEFAULT);
}

static unsigned int refusals(void)
{
	char *log = read_klog();
	unsigned int count = 0;

	if (!log)
		fail("the kernel's log is not readable");
	for (const char *at = log; (at = strstr(at, "xen_pv_mmu: ")); at++) {
		const char *end = strchrnul(at, '\n');
		const char *failed = strstr(at, " failed");

		count += failed && failed < end;
	}
	free(log);
	return count;
}

void test_kexec_load(void)
{
	static char halt[PAGE] = { 0xf4 };
	const struct kexec_segment segment = {
		.buf = halt, .bufsz = PAGE, .mem = (void *)PLACE, .memsz = PAGE,
	};
	unsigned int before = refusals();

	for (unsigned int round = 1; more() || round <= ROUNDS; round++) {
		if (!load(&segment, 1)) {
			if (errno == ENOSYS)
				skip("kexec_load is not built in");
			fail_errno("load of an image");
		}
		if (!load(NULL, 0))
			fail_errno("unload of the image");
	}
	if (refusals() != before)
		fail("the kernel complains: %u refusals", refusals() - before);
}
