// SPDX-License-Identifier: GPL-2.0-only
/*
 * One thread writes to pages while another one swaps them out all the time. Once
 * a page is in the swap space, only its dirty bit shows whether the copy there
 * is still valid: a lost bit brings old contents back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define PAGES	256UL
#define SIZE	(PAGES * PAGE)
#define SPACE	(4 * SIZE)

/* A round has many passes; on a slow machine it ends after some seconds. */
#define PASSES		40
#define FEW_PASSES	4
#define ROUND_SECONDS	10

struct race {
	uint64_t *mem;
	_Atomic uint64_t written[PAGES];	/* the minimum that each page must hold */
	_Atomic unsigned long writes;
	_Atomic bool stop;
	_Atomic long lost;			/* a page that went back, + 1 */
};

static uint64_t *word(struct race *race, size_t page)
{
	return race->mem + page * (PAGE / sizeof(*race->mem)) + page % 8;
}

/* The only writer: it must find its last value. */
static void *writer(void *arg)
{
	struct race *race = arg;

	pin(1);
	for (uint64_t value = 1; !atomic_load(&race->stop); value++) {
		size_t page = rnd_below(PAGES);

		if (*word(race, page) != atomic_load(&race->written[page]))
			atomic_store(&race->lost, page + 1);
		*word(race, page) = value;
		atomic_store(&race->written[page], value);
		atomic_fetch_add(&race->writes, 1);
	}
	return NULL;
}

/* The swap header of the kernel's format 1, with nothing but the size. */
static void write_header(int fd)
{
	uint32_t sizes[3] = { 1, SPACE / PAGE - 1, 0 };

	if (pwrite(fd, sizes, sizeof(sizes), 1024) != sizeof(sizes) ||
	    pwrite(fd, "SWAPSPACE2", 10, PAGE - 10) != 10)
		fail_errno("the header of the swap space");
}

/* Creates a block device from a file in memory, and swaps to it. */
static int swap_on(char *path, size_t length)
{
	int control = open("/dev/loop-control", O_RDWR);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int file = tmpfs_file(SPACE), device;

	if (number < 0)
		skip("no loop device");
	close(control);
	write_header(file);
	snprintf(path, length, "/dev/loop%d", number);
	device = open(path, O_RDWR);
	if (device < 0 || ioctl(device, LOOP_SET_FD, file))
		fail_errno("%s", path);
	close(file);
	if (swapon(path, 0)) {
		if (errno == ENOSYS)
			skip("no swap");
		fail_errno("swapon %s", path);
	}
	return device;
}

static void swap_off(const char *path, int device)
{
	if (swapoff(path))
		fail_errno("swapoff %s", path);
	if (ioctl(device, LOOP_CLR_FD, 0))
		fail_errno("%s", path);
	close(device);
}

static unsigned long swapped_out(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		fail_errno("sysinfo");
	return info.totalswap - info.freeswap;
}

/*
 * Swaps out new pages of this CPU and discards them in the swap space. The kernel
 * warns if it finds the entry of a page again. Returns the number of pages.
 */
static size_t discard_swapped(char *mem)
{
	size_t swapped = 0;

	advise(mem, SIZE, MADV_DONTNEED);
	for (size_t page = 0; page < PAGES; page++)
		mem[page * PAGE] = 1;
	advise(mem, SIZE, MADV_PAGEOUT);
	for (size_t page = 0; page < PAGES; page++)
		if (pagemap(mem + page * PAGE) & PM_SWAP)
			swapped++;
	advise(mem, SIZE, MADV_DONTNEED);
	for (size_t page = 0; page < PAGES; page++)
		if (!is_zero_page(mem + page * PAGE))
			fail("discarded page %zu is not zero", page);
	return swapped;
}

void test_dirty_swap(void)
{
	char path[32];
	int device = swap_on(path, sizeof(path));
	unsigned long most = 0;
	size_t discarded = 0;

	pin(0);
	while (more()) {
		struct race race = { .mem = map(SIZE, PROT_READ | PROT_WRITE) };
		double end = now() + ROUND_SECONDS;
		unsigned long id;

		/* On this CPU, so that its madvise() finds them on the list. */
		small_pages(race.mem, SIZE);
		for (size_t page = 0; page < PAGES; page++)
			*(volatile uint64_t *)word(&race, page) = 0;
		id = thread(writer, &race);
		for (unsigned int i = 0; i < PASSES || !race.writes; i++) {
			unsigned long out;

			if (i >= FEW_PASSES && race.writes && now() > end)
				break;
			advise(race.mem, SIZE, MADV_PAGEOUT);
			out = swapped_out();
			if (out > most)
				most = out;
		}
		atomic_store(&race.stop, true);
		join(id);
		if (race.lost)
			fail("page %ld lost a write after %lu", race.lost - 1,
			     race.writes);
		for (size_t page = 0; page < PAGES; page++)
			if (*word(&race, page) != race.written[page])
				fail("page %zu: wrote %lu, has %lu", page,
				     race.written[page], *word(&race, page));
		discarded += discard_swapped((char *)race.mem);
		unmap(race.mem, SIZE);
	}
	if (!most)
		fail("nothing was swapped out");
	if (!discarded)
		fail("nothing was in the swap space to be discarded");
	swap_off(path, device);
}
