// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages granted by this domain to itself, mapped through /dev/xen/gntdev: Xen
 * writes the entries of such a mapping.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xen/gntalloc.h>

/* Types that gntdev.h needs. */
#define grant_ref_t	uint32_t
#define domid_t		uint16_t
#include <xen/gntdev.h>

#include "../mmstress.h"
#include "../tests.h"

#define MOST	1000
#define BAD_REF	0xfffffff	/* beyond any table of grants */

static const unsigned int counts[] = { 1, 16, 17, MOST };

/* Pages that others may map. */
struct grants {
	int fd;
	unsigned int count;
	uint32_t refs[MOST];
	char *mem;
	uint64_t index;
};

/* A mapping of such pages. */
struct mapping {
	int fd;
	unsigned int count;
	uint64_t index;
	char *mem;
};

static int device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip("no %s", path);
	return fd;
}

static void grant(struct grants *grants, unsigned int count)
{
	size_t size = sizeof(struct ioctl_gntalloc_alloc_gref) + count * sizeof(uint32_t);
	struct ioctl_gntalloc_alloc_gref *request = calloc(1, size);

	if (!request)
		abort();
	grants->fd = device("/dev/xen/gntalloc");
	grants->count = count;
	request->flags = GNTALLOC_FLAG_WRITABLE;
	request->count = count;
	if (ioctl(grants->fd, IOCTL_GNTALLOC_ALLOC_GREF, request))
		fail_errno("gntalloc of %u pages", count);
	for (unsigned int i = 0; i < count; i++)
		grants->refs[i] = request->gref_ids[i];
	grants->index = request->index;
	grants->mem = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   grants->fd, grants->index);
	if (grants->mem == MAP_FAILED)
		fail_errno("mmap of %u granted pages", count);
	free(request);
}

static void take_back(struct grants *grants)
{
	struct ioctl_gntalloc_dealloc_gref request = {
		.index = grants->index, .count = grants->count,
	};

	unmap(grants->mem, grants->count * PAGE);
	if (ioctl(grants->fd, IOCTL_GNTALLOC_DEALLOC_GREF, &request))
		fail_errno("gntalloc takes back %u pages", grants->count);
	close(grants->fd);
}

/* Registers the grants with gntdev; then they can be mapped. */
static void announce(struct mapping *mapping, const uint32_t *refs, unsigned int count)
{
	size_t size = sizeof(struct ioctl_gntdev_map_grant_ref) +
		      count * sizeof(struct ioctl_gntdev_grant_ref);
	struct ioctl_gntdev_map_grant_ref *request = calloc(1, size);

	if (!request)
		abort();
	mapping->fd = device("/dev/xen/gntdev");
	mapping->count = count;
	request->count = count;
	for (unsigned int i = 0; i < count; i++)
		request->refs[i].ref = refs[i];
	if (ioctl(mapping->fd, IOCTL_GNTDEV_MAP_GRANT_REF, request))
		fail_errno("gntdev with %u grants", count);
	mapping->index = request->index;
	free(request);
}

static bool map_announced(struct mapping *mapping, int prot)
{
	mapping->mem = mmap(NULL, mapping->count * PAGE, prot, MAP_SHARED,
			    mapping->fd, mapping->index);
	return mapping->mem != MAP_FAILED;
}

static void map_grants(struct mapping *mapping, const struct grants *grants, int prot)
{
	announce(mapping, grants->refs, grants->count);
	if (!map_announced(mapping, prot))
		fail_errno("mmap of %u grants", grants->count);
}

static void forget(struct mapping *mapping)
{
	struct ioctl_gntdev_unmap_grant_ref request = {
		.index = mapping->index, .count = mapping->count,
	};

	if (ioctl(mapping->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &request))
		fail_errno("gntdev forgets %u grants", mapping->count);
	close(mapping->fd);
}

static void unmap_grants(struct mapping *mapping)
{
	unmap(mapping->mem, mapping->count * PAGE);
	forget(mapping);
}

/* Each side sees the writes of the other; then the grants are free again. */
static void both_ways(unsigned int count, uint32_t gen)
{
	static struct grants grants;
	struct mapping mapping;

	grant(&grants, count);
	fill(grants.mem, count, 0, gen);
	map_grants(&mapping, &grants, PROT_READ | PROT_WRITE);
	verify(mapping.mem, count, 0, gen, "mapped grant");
	fill(mapping.mem, count, 0, ~gen);
	verify(grants.mem, count, 0, ~gen, "granted page");
	unmap_grants(&mapping);
	verify(grants.mem, count, 0, ~gen, "granted page, later");
	take_back(&grants);
}

/* One bad reference fails the mapping, and leaves nothing behind. */
static void one_is_bad(unsigned int count, unsigned int bad, uint32_t gen)
{
	static struct grants grants;
	struct mapping mapping;
	uint32_t good;

	grant(&grants, count);
	fill(grants.mem, count, 0, gen);
	good = grants.refs[bad];
	grants.refs[bad] = BAD_REF;
	announce(&mapping, grants.refs, count);
	if (map_announced(&mapping, PROT_READ | PROT_WRITE))
		fail("%u grants are mapped, of which %u is bad", count, bad);
	forget(&mapping);
	grants.refs[bad] = good;
	map_grants(&mapping, &grants, PROT_READ);
	verify(mapping.mem, count, 0, gen, "after a failure");
	must_fault(mapping.mem, true, "read-only grant");
	unmap_grants(&mapping);
	take_back(&grants);
}

/*
 * A large mapping may lose more than was unmapped: when it is split, the kernel
 * notifies of a change of the 2 MiB around, and gntdev drops all of that range.
 */
static void right_or_gone(const char *mem, size_t pages, uint32_t gen)
{
	for (size_t i = 0; i < pages; i++)
		if (pages * PAGE < PMD / 4 || !try_read(mem + i * PAGE))
			verify(mem + i * PAGE, 1, i, gen, "what is left");
}

/* Operations on a mapping must not break Xen's count of grant mappings. */
static void fork_and_unmap(unsigned int count, uint32_t gen)
{
	static struct grants grants;
	unsigned int half = count / 2;
	struct mapping mapping;
	pid_t pid;

	grant(&grants, count);
	fill(grants.mem, count, 0, gen);
	map_grants(&mapping, &grants, PROT_READ | PROT_WRITE);
	pid = spawn();
	if (!pid) {
		must_fault(mapping.mem, false, "grant in a child");
		_exit(0);
	}
	reap(pid);
	verify(mapping.mem, count, 0, gen, "after fork");
	unmap(mapping.mem + half * PAGE, (count - half) * PAGE);
	right_or_gone(mapping.mem, half, gen);
	/* Xen refuses changes of granted entries: gntdev drops the rest. */
	protect(mapping.mem, half * PAGE, PROT_READ);
	if (!try_write(mapping.mem))
		fail("a grant is writable after mprotect");
	unmap(mapping.mem, half * PAGE);
	forget(&mapping);
	verify(grants.mem, count, 0, gen, "after all");
	take_back(&grants);
}

/* Granted entries cannot move either: gntdev drops them before the move. */
static void move(unsigned int count, uint32_t gen)
{
	static struct grants grants;
	struct mapping mapping;
	char *place = map(count * PAGE, PROT_NONE);

	grant(&grants, count);
	fill(grants.mem, count, 0, gen);
	map_grants(&mapping, &grants, PROT_READ | PROT_WRITE);
	mapping.mem = mremap(mapping.mem, count * PAGE, count * PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, place);
	if (mapping.mem == MAP_FAILED)
		fail_errno("mremap of %u grants", count);
	for (unsigned int page = 0; page < count; page++)
		if (try_read(mapping.mem + page * PAGE) != SIGBUS)
			fail("grant %u of %u is there after mremap", page, count);
	unmap_grants(&mapping);
	verify(grants.mem, count, 0, gen, "after a move");
	take_back(&grants);
}

/* In kernels before 7.3.4, gntdev lets private mappings become writable. */
static bool mprotect_is_refused(void)
{
	unsigned int version, patchlevel;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &version, &patchlevel) != 2)
		fail_errno("uname");
	return version > 7 || (version == 7 && patchlevel >= 3);
}

/* There is no copy on write: a private mapping is readable, and never writable. */
static void map_privately(unsigned int count, uint32_t gen)
{
	static struct grants grants;
	struct mapping mapping;
	char *mem;

	grant(&grants, count);
	fill(grants.mem, count, 0, gen);
	announce(&mapping, grants.refs, count);
	mem = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, mapping.fd,
		   mapping.index);
	if (mem != MAP_FAILED)
		fail("%u grants are mapped privately, and writable", count);
	mapping.mem = mmap(NULL, count * PAGE, PROT_READ, MAP_PRIVATE, mapping.fd,
			   mapping.index);
	if (mapping.mem == MAP_FAILED)
		fail_errno("private mmap of %u grants", count);
	verify(mapping.mem, count, 0, gen, "private grant");
	if (mprotect_is_refused() &&
	    (!mprotect(mapping.mem, count * PAGE, PROT_READ | PROT_WRITE) || errno != EACCES))
		fail("mprotect of %u private grants: %s", count, strerror(errno));
	for (unsigned int page = 0; page < count; page++)
		must_fault(mapping.mem + page * PAGE, true, "private grant");
	verify(grants.mem, count, 0, gen, "page granted privately");
	unmap_grants(&mapping);
	take_back(&grants);
}

/* A process with mapped grants is killed. */
static void kill_mapper(unsigned int count, uint32_t gen)
{
	static struct grants grants;
	struct mapping mapping;
	pid_t pid;

	grant(&grants, count);
	fill(grants.mem, count, 0, gen);
	pid = spawn();
	if (!pid) {
		map_grants(&mapping, &grants, PROT_READ | PROT_WRITE);
		verify(mapping.mem, count, 0, gen, "in a child");
		fill(mapping.mem, count, 0, ~gen);
		kill(getpid(), SIGKILL);
	}
	reap_killed(pid);
	verify(grants.mem, count, 0, ~gen, "after the child");
	take_back(&grants);
}

void test_grant_map(void)
{
	for (uint32_t gen = 1; more(); gen++)
		for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
			both_ways(counts[i], gen);
}

/* The kernel maps grants beyond memory, with tables that it allocates on demand. */
void test_grant_beyond(void)
{
	for (uint32_t gen = 1; more(); gen++) {
		char *map;

		both_ways(MOST, gen);
		map = slurp("/proc/iomem");
		if (!map)
			fail_errno("/proc/iomem");
		if (!strstr(map, "Xen scratch"))
			skip("it maps them at addresses of memory");
		free(map);
	}
}

void test_grant_bad(void)
{
	for (uint32_t gen = 1; more(); gen++) {
		one_is_bad(16, 0, gen);
		one_is_bad(17, 16, gen);
		one_is_bad(MOST, MOST / 2, gen);
	}
}

void test_grant_use(void)
{
	for (uint32_t gen = 1; more(); gen++) {
		fork_and_unmap(17, gen);
		fork_and_unmap(MOST, gen);
		move(17, gen);
		move(MOST, gen);
	}
}

void test_grant_private(void)
{
	for (uint32_t gen = 1; more(); gen++) {
		map_privately(1, gen);
		map_privately(17, gen);
	}
}

void test_grant_exit(void)
{
	for (uint32_t gen = 1; more(); gen++) {
		kill_mapper(1, gen);
		kill_mapper(MOST, gen);
	}
}
