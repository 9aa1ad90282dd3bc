// SPDX-License-Identifier: GPL-2.0-only
/* Grants of the domain's memory, mapped by the domain itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/types.h>

#include "inject.h"
#include "../tests.h"

/* The device headers leave these to Xen's headers. */
typedef uint32_t grant_ref_t;
typedef uint16_t domid_t;

#include <xen/gntalloc.h>
#include <xen/gntdev.h>

/* A page that domain 0, which is this domain, may map by its grant. */
static char *grant_page(uint32_t *ref)
{
	struct ioctl_gntalloc_alloc_gref op = {
		.flags = GNTALLOC_FLAG_WRITABLE,
		.count = 1,
	};
	int fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	char *page;

	if (fd < 0)
		skip("no grants");
	if (ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, &op))
		fail_errno("gntalloc");
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, op.index);
	if (page == MAP_FAILED)
		fail_errno("gntalloc mapping");
	*ref = op.gref_ids[0];
	return page;
}

/*
 * Registers @count mappings of a grant, for which the kernel reserves as many
 * pages; returns 0 or the errno.
 */
static int announce(int fd, uint32_t ref, unsigned int count, uint64_t *index)
{
	struct ioctl_gntdev_map_grant_ref *op;
	int error = 0;

	op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));
	if (!op)
		fail_errno("calloc");
	op->count = count;
	for (unsigned int i = 0; i < count; i++)
		op->refs[i].ref = ref;
	if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, op))
		error = errno;
	*index = op->index;
	free(op);
	return error;
}

static void withdraw(int fd, uint64_t index, unsigned int count)
{
	struct ioctl_gntdev_unmap_grant_ref op = {
		.index = index,
		.count = count,
	};

	if (ioctl(fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &op))
		fail_errno("gntdev unmap");
}

/*
 * Pages for grants make the p2m list grow if they exceed the room left at boot.
 * Each allocation for that may fail.
 */
static void refuse_growth(int fd, uint32_t ref)
{
	const unsigned int pages = 2048;
	unsigned int failed = 0;
	uint64_t index = 0;
	int error;

	for (;;) {
		unsigned int times;

		arm("fail_alloc", failed, 1, ENOMEM, 0);
		error = announce(fd, ref, pages, &index);
		times = disarm("fail_alloc", 1);
		if (!times)
			break;
		if (error != ENOMEM)
			fail("a failed allocation gave %s",
			     strerrorname_np(error));
		count_report(); /* by the balloon driver */
		failed++;
	}
	if (error)
		fail("no failed allocation gave %s", strerrorname_np(error));
	if (!failed)
		fail("the p2m list did not grow");
	withdraw(fd, index, pages);
}

static void refuse_grant(int fd, uint32_t ref, int error)
{
	uint64_t index = 0;
	void *mem;
	int got;

	if (announce(fd, ref, 1, &index))
		fail_errno("gntdev");
	arm("fail_grant", 0, 1, error, 0);
	mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, index);
	got = errno;
	if (disarm("fail_grant", 1) != 1)
		fail("no operation failed");
	if (mem != MAP_FAILED || got != error)
		fail("a refused grant gave %p, %s", mem, strerrorname_np(got));
	withdraw(fd, index, 1);
}

static void use_grant(int fd, uint32_t ref, char *page, uint32_t gen)
{
	uint64_t index = 0;
	char *mem;

	if (announce(fd, ref, 1, &index))
		fail_errno("gntdev");
	mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, index);
	if (mem == MAP_FAILED)
		fail_errno("gntdev mapping");
	fill(page, 1, 0, gen);
	verify(mem, 1, 0, gen, "through the grant");
	fill(mem, 1, 0, ~gen);
	unmap(mem, PAGE);
	verify(page, 1, 0, ~gen, "the granted page");
	withdraw(fd, index, 1);
}

static int open_gntdev(void)
{
	int fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);

	need_faults();
	if (fd < 0)
		skip("no grants");
	return fd;
}

/* Allocations fail for the p2m words of pages for grants. */
void test_fault_growth(void)
{
	struct witness witness;
	int fd = open_gntdev();

	witness = call_witness();
	/* Any grant will do, because it is not mapped. */
	refuse_growth(fd, 0);
	hear_witness(witness);
	print_counts();
}

/* Xen refuses to map grants. */
void test_fault_grant(void)
{
	struct witness witness;
	int fd = open_gntdev();
	uint32_t ref;
	char *page;

	witness = call_witness();
	page = grant_page(&ref);
	for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
		use_grant(fd, ref, page, e);
		refuse_grant(fd, ref, errors[e]);
	}
	use_grant(fd, ref, page, 77);
	hear_witness(witness);
	print_counts();
}
