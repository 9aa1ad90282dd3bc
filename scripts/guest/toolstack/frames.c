// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a guest as the toolstack does to save it: finds its p2m list, maps its
 * frames through /dev/xen/privcmd, and recognizes the pages that "mmstress keep"
 * made inaccessible.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>

#include "../mmstress/mmstress.h"

#define ENTRIES		512UL
#define TOP_BITS	(3UL << 62)	/* set in a word of the list: not a frame of the guest */
#define NO_FRAME	(~0UL >> 16)	/* beyond all memory */
#define MOST		1000

static xenforeignmemory_handle *foreign;
static uint32_t domain;
static xen_pfn_t *frames;
static size_t nr_frames;
/* Frames of the inaccessible pages. They are no tables, so Xen lets them be written. */
static xen_pfn_t kept[MOST];

static void *map_foreign(const xen_pfn_t *mfns, size_t count, int prot, int *errors)
{
	void *mem = xenforeignmemory_map(foreign, domain, prot, count, mfns, errors);

	if (!mem)
		fail_errno("map of %zu frames, the first %#lx", count, mfns[0]);
	return mem;
}

static void unmap_foreign(void *mem, size_t count)
{
	if (xenforeignmemory_unmap(foreign, mem, count))
		fail_errno("unmap of %zu frames", count);
}

static uint64_t foreign_word(xen_pfn_t mfn, size_t index)
{
	uint64_t *mem = map_foreign(&mfn, 1, PROT_READ, NULL), word = mem[index];

	unmap_foreign(mem, 1);
	return word;
}

/* The frame behind an address in the address space with this top table. */
static xen_pfn_t walk(xen_pfn_t table, unsigned long addr)
{
	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t entry = foreign_word(table, addr >> shift & (ENTRIES - 1));

		if (!(entry & 1))
			fail("the list has a hole at %#lx", addr);
		table = entry << 12 >> 24;
	}
	return table;
}

/* The list is linear in an address space that the guest names. */
static void read_list(xen_pfn_t shared_info)
{
	const shared_info_t *shared = map_foreign(&shared_info, 1, PROT_READ, NULL);
	const struct arch_shared_info *arch = &shared->arch;
	xen_pfn_t top = arch->p2m_cr3 >> 12 | arch->p2m_cr3 << 52;

	if (!arch->p2m_cr3 || arch->p2m_generation & 1)
		fail("the guest has no list, or it changes");
	frames = calloc(arch->max_pfn, sizeof(*frames));
	if (!frames)
		abort();
	for (size_t pfn = 0; pfn < arch->max_pfn; pfn += ENTRIES) {
		xen_pfn_t mfn = walk(top, arch->p2m_vaddr + pfn * sizeof(*frames));
		const xen_pfn_t *list = map_foreign(&mfn, 1, PROT_READ, NULL);

		for (size_t i = 0; i < ENTRIES && pfn + i < arch->max_pfn; i++)
			if (!(list[i] & TOP_BITS))
				frames[nr_frames++] = list[i];
		unmap_foreign((void *)list, 1);
	}
	unmap_foreign((void *)shared, 1);
}

/* Finds @expected pages, each once, with the given number of frames per mapping. */
static void search(size_t at_once, size_t expected)
{
	static unsigned char seen[KEEP_MOST];
	size_t found = 0;

	memset(seen, 0, sizeof(seen));
	for (size_t at = 0; at < nr_frames; at += at_once) {
		size_t count = nr_frames - at < at_once ? nr_frames - at : at_once;
		char *mem = map_foreign(frames + at, count, PROT_READ, NULL);

		for (size_t i = 0; i < count; i++) {
			long number = kept_number((uint64_t *)(mem + i * PAGE));

			if (number < 0)
				continue;
			verify(mem + i * PAGE, 1, KEEP_NONE + number, KEEP_GEN, "foreign");
			if (seen[number]++)
				fail("page %ld is there twice", number);
			if (found < MOST)
				kept[found] = frames[at + i];
			found++;
		}
		unmap_foreign(mem, count);
	}
	if (found != expected || found < MOST)
		fail("%zu of %zu pages found, %zu at once", found, expected, at_once);
}

static void same(const char *mem, const char *good, size_t first, size_t count)
{
	if (memcmp(mem + first * PAGE, good + first * PAGE, count * PAGE))
		fail("frames %zu to %zu differ", first, first + count - 1);
}

/* One frame that does not exist: only its slot has an error. */
static void one_is_bad(size_t count, size_t bad)
{
	xen_pfn_t mfns[MOST];
	int errors[MOST];
	char *mem, *good = map_foreign(frames, count, PROT_READ, NULL);

	memcpy(mfns, frames, count * sizeof(*mfns));
	mfns[bad] = NO_FRAME;
	mem = map_foreign(mfns, count, PROT_READ, errors);
	for (size_t i = 0; i < count; i++) {
		bool refused = errors[i], expected = i == bad;

		if (refused != expected)
			fail("frame %zu of %zu has result %d, %zu is bad", i, count,
			     errors[i], bad);
	}
	same(mem, good, 0, bad);
	same(mem, good, bad + 1, count - bad - 1);
	if (!try_read(mem + bad * PAGE))
		fail("something is mapped in place of a bad frame");
	unmap_foreign(mem, count);
	unmap_foreign(good, count);
}

/* fork, and munmap of a part, which privcmd refuses. */
static void use(size_t count)
{
	char *mem = map_foreign(kept, count, PROT_READ | PROT_WRITE, NULL);
	char *good = map_foreign(kept, count, PROT_READ, NULL);
	pid_t pid = spawn();

	if (!pid) {
		must_fault(mem, false, "foreign frame in a child");
		_exit(0);
	}
	reap(pid);
	if (try_write(mem) || !munmap(mem + PAGE, PAGE))
		fail("%zu frames are not writable, or can be split", count);
	same(mem, good, 0, count);
	unmap_foreign(mem, count);
	unmap_foreign(good, count);
}

/* The call is refused, and all mappings are unchanged. */
static void refused(bool done, int why, const char *what, char *mem, const char *good, size_t count)
{
	if (done)
		fail("%s of %zu frames is not refused", what, count);
	if (errno != why)
		fail_errno("%s of %zu frames", what, count);
	same(mem, good, 0, count);
	for (size_t i = 0; i < count; i++)
		if (try_write(mem + i * PAGE))
			fail("%s: frame %zu of %zu is not writable", what, i, count);
}

/*
 * mprotect: the kernel decides alone whether a page is executable. To change
 * whether it is writable, Xen needs the owner of the frame, which only privcmd knew.
 */
static void protect_foreign(char *mem, const char *good, size_t count)
{
	static const int others[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC };

	protect(mem, count * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	same(mem, good, 0, count);
	protect(mem, count * PAGE, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refused(!mprotect(mem, count * PAGE, others[i]), EACCES, "mprotect", mem, good,
			count);
	refused(!mprotect(mem + PAGE, PAGE, PROT_READ), EACCES, "mprotect of a part", mem, good,
		count);
	if (!mprotect((void *)good, count * PAGE, PROT_READ | PROT_WRITE) || errno != EACCES)
		fail_errno("mprotect of %zu frames that are read-only", count);
	must_fault(good, true, "read-only frame");
}

/* mremap: no frame moves, for the same reason; the destination does not change. */
static void move_foreign(char *mem, const char *good, size_t count)
{
	size_t size = count * PAGE;
	char *place = map_aligned(size + PMD, PMD);

	fill(place, count, 0, 1);
	refused(mremap(mem, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED, EINVAL,
		"mremap", mem, good, count);
	refused(mremap(mem + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED,
		EINVAL, "mremap of a part", mem, good, count);
	refused(mremap(mem, size, size, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) != MAP_FAILED, EINVAL,
		"mremap that unmaps nothing", mem, good, count);
	refused(mremap(mem, size, 2 * size, MREMAP_MAYMOVE) != MAP_FAILED, EINVAL,
		"mremap to more", mem, good, count);
	refused(mremap(mem, size, PAGE, 0) != MAP_FAILED, EINVAL, "mremap to less", mem, good,
		count);
	verify(place, count, 0, 1, "in the way of mremap");
	unmap(place, size + PMD);
}

/* Two mappings of the same frames, one of them writable. */
static void change(size_t count)
{
	char *mem = map_foreign(kept, count, PROT_READ | PROT_WRITE, NULL);
	char *good = map_foreign(kept, count, PROT_READ, NULL);

	protect_foreign(mem, good, count);
	move_foreign(mem, good, count);
	unmap_foreign(mem, count);
	unmap_foreign(good, count);
}

/* A mapping that would move by its tables, without reading the entries. */
static void move_table(void)
{
	char *place = map_aligned(2 * PMD, PMD), *mem, *good;

	mem = xenforeignmemory_map2(foreign, domain, place, PROT_READ | PROT_WRITE, MAP_FIXED,
				    ENTRIES, kept, NULL);
	if (mem != place)
		fail_errno("map of %lu frames at %p", ENTRIES, place);
	good = map_foreign(kept, ENTRIES, PROT_READ, NULL);
	refused(mremap(mem, PMD, PMD, MREMAP_MAYMOVE | MREMAP_FIXED, place + PMD) != MAP_FAILED,
		EINVAL, "mremap of a table", mem, good, ENTRIES);
	unmap_foreign(mem, ENTRIES);
	unmap_foreign(good, ENTRIES);
}

int main(int argc, char **argv)
{
	xc_interface *xc = xc_interface_open(NULL, NULL, 0);
	xc_domaininfo_t info;
	size_t expected;

	if (argc != 5 || !xc) {
		fputs("usage: frames DOMAIN SEED PAGES moves|stays\n", stderr);
		return 2;
	}
	domain = atoi(argv[1]);
	env_init(strtoull(argv[2], NULL, 0));
	expected = strtoul(argv[3], NULL, 0);
	probe_init();
	foreign = xenforeignmemory_open(NULL, 0);
	if (!foreign || xc_domain_getinfo_single(xc, domain, &info))
		fail_errno("domain %u", domain);
	read_list(info.shared_info_frame);
	search(16, expected);
	search(17, expected);
	search(MOST, expected);
	one_is_bad(16, 0);
	one_is_bad(17, 16);
	one_is_bad(MOST, 15);
	one_is_bad(MOST, 500);
	one_is_bad(MOST, MOST - 1);
	use(17);
	use(MOST);
	/* With an unfixed C backend privcmd allows all of it, and the frames get lost. */
	if (!strcmp(argv[4], "moves")) {
		change(17);
		change(MOST);
		move_table();
	}
	printf("%zu frames, %zu pages recognized\n", nr_frames, expected);
	xenforeignmemory_close(foreign);
	xc_interface_close(xc);
	return 0;
}
