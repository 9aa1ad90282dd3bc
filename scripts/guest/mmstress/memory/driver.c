// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that maps its pages one by one as they are touched (udmabuf), with
 * interrupts at any point.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/udmabuf.h>

#include "../mmstress.h"
#include "../tests.h"

#define INTERVAL_US	200

static volatile sig_atomic_t interrupts;

static void count_interrupt(int signal)
{
	interrupts += signal == SIGALRM;
}

/* No interrupts if @us is 0. */
static void interrupt_every(unsigned int us)
{
	const struct itimerval timer = {
		.it_interval.tv_usec = us, .it_value.tv_usec = us,
	};
	const struct sigaction action = {
		.sa_handler = count_interrupt, .sa_flags = SA_RESTART,
	};

	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &timer, NULL))
		fail_errno("timer");
}

/* A memory file that cannot shrink, as the driver requires. */
static int memory(size_t size)
{
	int fd = memfd_create("driver", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		fail_errno("memory of %zu bytes", size);
	return fd;
}

static int buffer(int device, int memfd, size_t size)
{
	struct udmabuf_create request = {
		.memfd = memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = size,
	};
	int fd = ioctl(device, UDMABUF_CREATE, &request);

	if (fd < 0)
		fail_errno("udmabuf of %zu bytes", size);
	return fd;
}

/* Two mappings of the buffer; the faults of the second come from its end. */
static void touch(int fd, size_t pages, uint32_t gen)
{
	char *mem = map_file(fd, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

	for (size_t page = 0; page < pages; page++)
		verify(mem + page * PAGE, 1, page, gen, "driver's page");
	unmap(mem, pages * PAGE);
	mem = map_file(fd, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (size_t page = pages; page--;)
		fill(mem + page * PAGE, 1, page, gen + 1);
	unmap(mem, pages * PAGE);
}

void test_driver_faults(void)
{
	const size_t size = fit(4 * MIB), pages = size / PAGE;
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memfd, fd;
	char *mem;

	if (device < 0)
		skip("no /dev/udmabuf");
	memfd = memory(size);
	mem = map_file(memfd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
	fd = buffer(device, memfd, size);
	interrupt_every(INTERVAL_US);
	for (uint32_t gen = 1; more(); gen += 2) {
		fill(mem, pages, 0, gen);
		touch(fd, pages, gen);
		verify(mem, pages, 0, gen + 1, "what a driver has mapped");
	}
	interrupt_every(0);
	if (!interrupts)
		fail("no interrupt came");
	unmap(mem, size);
	close(fd);
	close(memfd);
	close(device);
}
