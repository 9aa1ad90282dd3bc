// SPDX-License-Identifier: GPL-2.0-only
/* System calls whose failure fails the test. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmstress.h"

void *map(size_t size, int prot)
{
	void *mem = mmap(NULL, size, prot,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		fail_errno("mmap of %zu bytes", size);
	return mem;
}

void *map_aligned(size_t size, size_t align)
{
	size_t total = size + 2 * align;
	char *mem = map(total, PROT_READ | PROT_WRITE);
	char *start = (char *)(((uintptr_t)mem + align - 1) & ~(align - 1));

	if (start > mem)
		unmap(mem, start - mem);
	unmap(start + size, mem + total - (start + size));
	return start;
}

void *map_file(int fd, size_t size, int prot, int flags)
{
	void *mem = mmap(NULL, size, prot, flags, fd, 0);

	if (mem == MAP_FAILED)
		fail_errno("mmap of %zu bytes of a file", size);
	return mem;
}

void unmap(void *mem, size_t size)
{
	if (munmap(mem, size))
		fail_errno("munmap(%p, %#zx)", mem, size);
}

void protect(void *mem, size_t size, int prot)
{
	if (mprotect(mem, size, prot))
		fail_errno("mprotect(%p, %#zx, %d)", mem, size, prot);
}

void advise(void *mem, size_t size, int advice)
{
	if (!madvise(mem, size, advice))
		return;
	if (errno == ENOSYS)
		skip("no madvise in this kernel");
	fail_errno("madvise(%p, %#zx, %d)", mem, size, advice);
}

/* May fail where the kernel has no huge pages anyway. */
void small_pages(void *mem, size_t size)
{
	madvise(mem, size, MADV_NOHUGEPAGE);
}

int tmpfs_file(size_t size)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0)
		fd = memfd_create("mmstress", 0);
	if (fd < 0)
		fail_errno("no file on a tmpfs");
	if (ftruncate(fd, size))
		fail_errno("ftruncate to %zu bytes", size);
	return fd;
}

pid_t spawn(void)
{
	uint64_t salt = rnd();
	pid_t pid = fork();

	if (pid < 0)
		fail_errno("fork");
	if (!pid)
		rnd_seed(salt);
	return pid;
}

static int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail_errno("waitpid");
	return status;
}

void reap(pid_t pid)
{
	int status = wait_status(pid);

	if (WIFSIGNALED(status))
		fail("a child was killed by %s", strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		fail("a child ended with status %d", WEXITSTATUS(status));
}

void reap_killed(pid_t pid)
{
	int status = wait_status(pid);

	if (WIFEXITED(status) && WEXITSTATUS(status))
		fail("a child ended with status %d", WEXITSTATUS(status));
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		fail("a child was killed by %s", strsignal(WTERMSIG(status)));
}

unsigned long thread(void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * KIB);
	err = pthread_create(&id, &attr, fn, arg);
	if (err) {
		errno = err;
		fail_errno("pthread_create");
	}
	pthread_attr_destroy(&attr);
	return id;
}

void join(unsigned long id)
{
	int err = pthread_join(id, NULL);

	if (err) {
		errno = err;
		fail_errno("pthread_join");
	}
}
