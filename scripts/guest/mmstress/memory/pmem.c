// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is removed and added again: that of a pmem device, when its driver
 * is unbound and bound. Its struct pages and tables are reused in between, and, as
 * tables of processes, already while they are freed.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

#define DEVICE		"/dev/pmem0"
#define DRIVER		"/sys/bus/nd/drivers/nd_pmem/"
#define NAMESPACE	"namespace0.0"

#define ROUNDS		3
#define SIZE		((ssize_t)(16 * MIB))	/* the used part of the device */
#define USED		(64 * MIB)	/* of other memory, on each CPU */
#define TABLES		32UL		/* that a process has at a time */
#define WAIT		10	/* seconds until the device is there */

static int open_device(void)
{
	double limit = now() + WAIT;
	int fd;

	while ((fd = open(DEVICE, O_RDWR | O_CLOEXEC)) < 0) {
		if (now() > limit)
			fail_errno("%s", DEVICE);
		usleep(10000);
	}
	return fd;
}

static void write_device(char *mem, uint32_t gen)
{
	int fd = open_device();

	fill(mem, SIZE / PAGE, 0, gen);
	if (pwrite(fd, mem, SIZE, 0) != SIZE || fsync(fd))
		fail_errno("write to %s", DEVICE);
	close(fd);
}

static void check_device(char *mem, uint32_t gen, const char *when)
{
	int fd = open_device();

	/* From the device, not from the page cache. */
	if (ioctl(fd, BLKFLSBUF, 0) || pread(fd, mem, SIZE, 0) != SIZE)
		fail_errno("read from %s", DEVICE);
	verify(mem, SIZE / PAGE, 0, gen, when);
	close(fd);
}

static void drive(const char *verb)
{
	if (!write_text(verb, NAMESPACE))
		fail_errno("%s", verb);
}

/* A process whose tables come and go, on one CPU, until it is killed. */
static pid_t make_tables(unsigned int cpu)
{
	pid_t pid = spawn();

	if (pid)
		return pid;
	pin(cpu);
	for (;;) {
		char *mem = map(TABLES * PMD, PROT_READ | PROT_WRITE);

		small_pages(mem, TABLES * PMD);
		for (size_t i = 0; i < TABLES; i++)
			mem[i * PMD] = 1;
		unmap(mem, TABLES * PMD);
	}
}

/* A page that is still mapped cannot become a table: "dmesg" finds the refusal. */
static void unbind(void)
{
	pid_t pids[nr_cpus];

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		pids[cpu] = make_tables(cpu);
	drive(DRIVER "unbind");
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		kill(pids[cpu], SIGKILL);
		reap_killed(pids[cpu]);
	}
}

/* The CPU that freed memory allocates it first. */
static void use_memory(uint32_t gen)
{
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		pid_t pid = spawn();
		char *mem;

		if (pid) {
			reap(pid);
			continue;
		}
		pin(cpu);
		mem = map(USED, PROT_READ | PROT_WRITE);
		fill(mem, USED / PAGE, 0, gen);
		verify(mem, USED / PAGE, 0, gen, "memory");
		_exit(0);
	}
}

void test_pmem(void)
{
	char *mem = map(SIZE, PROT_READ | PROT_WRITE);

	if (access(DEVICE, W_OK))
		skip("no memory is set apart as %s", DEVICE);
	for (uint32_t gen = 1; more() || gen <= ROUNDS; gen++) {
		write_device(mem, gen);
		check_device(mem, gen, "device");
		unbind();
		if (!access(DEVICE, F_OK))
			fail("%s is there without its driver", DEVICE);
		use_memory(gen);
		drive(DRIVER "bind");
		check_device(mem, gen, "device after its memory was away");
	}
}
