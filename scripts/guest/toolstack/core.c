// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a dump of a guest by "xl dump-core", as a debugger does: the p2m list
 * maps pages of the dump to pages of the guest.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../mmstress/mmstress.h"

/* An element of the section .xen_p2m. */
struct p2m {
	uint64_t pfn;
	uint64_t gmfn;
};

static const char *dump;
static size_t dump_size;

static const void *part(uint64_t offset, uint64_t size)
{
	if (offset > dump_size || size > dump_size - offset)
		fail("%#lx bytes at %#lx lie beyond the dump's end", size, offset);
	return dump + offset;
}

static const void *section(const char *name, size_t *size)
{
	const Elf64_Ehdr *header = part(0, sizeof(*header));
	const Elf64_Shdr *sections = part(header->e_shoff,
					  header->e_shnum * sizeof(*sections));
	const Elf64_Shdr *names = &sections[header->e_shstrndx];
	const char *strings;

	if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_shstrndx >= header->e_shnum)
		fail("the dump is no ELF file with names");
	strings = part(names->sh_offset, names->sh_size);
	for (size_t i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_name >= names->sh_size ||
		    strcmp(strings + sections[i].sh_name, name))
			continue;
		*size = sections[i].sh_size;
		return part(sections[i].sh_offset, *size);
	}
	fail("the dump has no section %s", name);
}

/* Each page of the guest once, with a frame of its own. */
static void check_list(const struct p2m *list, size_t nr)
{
	unsigned char *taken;
	uint64_t last = 0;

	for (size_t i = 0; i < nr; i++) {
		if (i && list[i].pfn <= list[i - 1].pfn)
			fail("page %#lx follows %#lx", list[i].pfn, list[i - 1].pfn);
		if (list[i].gmfn >> 40)
			fail("page %#lx has no frame: %#lx", list[i].pfn, list[i].gmfn);
		if (list[i].gmfn > last)
			last = list[i].gmfn;
	}
	taken = calloc(last + 1, 1);
	if (!taken)
		abort();
	for (size_t i = 0; i < nr; i++)
		if (taken[list[i].gmfn]++)
			fail("frame %#lx is of two pages", list[i].gmfn);
	free(taken);
}

/* Finds the @expected pages of "mmstress keep", each once. */
static void search(const char *pages, size_t nr, size_t expected)
{
	static unsigned char seen[KEEP_MOST];
	size_t found = 0;

	for (size_t i = 0; i < nr; i++) {
		const char *page = pages + i * PAGE;
		long number = kept_number((const uint64_t *)page);

		if (number < 0)
			continue;
		verify(page, 1, KEEP_NONE + number, KEEP_GEN, "dumped");
		if (seen[number]++)
			fail("page %ld is there twice", number);
		found++;
	}
	if (found != expected || !found)
		fail("%zu of %zu pages found", found, expected);
}

int main(int argc, char **argv)
{
	size_t list_size, pages_size, nr;
	const struct p2m *list;
	const char *pages;
	struct stat status;
	int fd;

	if (argc != 4) {
		fputs("usage: core FILE SEED PAGES\n", stderr);
		return 2;
	}
	env_init(strtoull(argv[2], NULL, 0));
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status))
		fail_errno("%s", argv[1]);
	dump_size = status.st_size;
	dump = map_file(fd, dump_size, PROT_READ, MAP_PRIVATE);
	list = section(".xen_p2m", &list_size);
	pages = section(".xen_pages", &pages_size);
	nr = list_size / sizeof(*list);
	if (!nr || pages_size / PAGE != nr)
		fail("the dump has %zu pages and a list of %zu", pages_size / PAGE, nr);
	check_list(list, nr);
	search(pages, nr, strtoul(argv[3], NULL, 0));
	printf("%zu pages dumped, %s recognized\n", nr, argv[3]);
	return 0;
}
