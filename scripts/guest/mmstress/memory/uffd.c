// SPDX-License-Identifier: GPL-2.0-only
/* Write protection by userfaultfd: it reports every first write. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define PAGES	32UL
#define SIZE	(PAGES * PAGE)

static char *mem;
static uint32_t generation;

static int open_uffd(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		skip("no userfaultfd");
	if (ioctl(fd, UFFDIO_API, &api))
		skip("userfaultfd without write protection");
	return fd;
}

static void write_protect(int fd, void *start, size_t size, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)start, .len = size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		fail_errno("UFFDIO_WRITEPROTECT");
}

static void *writer(void *arg)
{
	(void)arg;
	pin(1);
	fill(mem, PAGES, 0, generation + 1);
	return NULL;
}

static void serve(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;
	char *page;

	if (poll(&pollfd, 1, 30000) != 1)
		fail("no write fault announced in 30 s");
	if (read(fd, &msg, sizeof(msg)) != sizeof(msg))
		fail_errno("read of a fault");
	page = (char *)(msg.arg.pagefault.address & -PAGE);
	if (msg.event != UFFD_EVENT_PAGEFAULT ||
	    !(msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP))
		fail("event %u flags %#llx, expected a write fault", msg.event,
		     msg.arg.pagefault.flags);
	verify(page, 1, (page - mem) / PAGE, generation, "protected page");
	write_protect(fd, page, PAGE, false);
}

void test_uffd_wp(void)
{
	int fd = open_uffd();

	pin(0);
	for (uint32_t gen = 1; more(); gen++) {
		struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
		unsigned long id;

		generation = gen;
		mem = map(SIZE, PROT_READ | PROT_WRITE);
		small_pages(mem, SIZE);
		fill(mem, PAGES, 0, gen);
		reg.range.start = (uintptr_t)mem;
		reg.range.len = SIZE;
		if (ioctl(fd, UFFDIO_REGISTER, &reg))
			fail_errno("UFFDIO_REGISTER");
		write_protect(fd, mem, SIZE, true);
		/* Changes of rights in between must not lose the protection. */
		protect(mem, SIZE, PROT_READ);
		protect(mem, SIZE, PROT_READ | PROT_WRITE);
		id = thread(writer, NULL);
		for (size_t i = 0; i < PAGES; i++)
			serve(fd);
		join(id);
		verify(mem, PAGES, 0, gen + 1, "written by the thread");
		unmap(mem, SIZE);
	}
}
