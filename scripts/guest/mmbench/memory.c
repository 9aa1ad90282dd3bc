// SPDX-License-Identifier: GPL-2.0-only
/* Memory, files and threads for the operations. */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmbench.h"

#define MAX_THREADS	8
#define THREAD_STACK	(64 * 1024)

static pthread_t threads[MAX_THREADS];
static unsigned int nr_threads;
static sem_t leave;

char *map(size_t size)
{
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(at != MAP_FAILED, "mmap");
	return at;
}

void unmap(char *at, size_t size)
{
	must(!munmap(at, size), "munmap");
}

void touch(char *at, size_t size, size_t step)
{
	for (size_t i = 0; i < size; i += step)
		((volatile char *)at)[i] = 1;
}

void peek(const char *at, size_t size, size_t step)
{
	for (size_t i = 0; i < size; i += step)
		(void)((const volatile char *)at)[i];
}

int cached_file(size_t size)
{
	static const char block[PAGE] = { 1 };
	int fd = memfd_create("mmbench", 0);

	must(fd >= 0, "memfd_create");
	for (size_t at = 0; at < size; at += PAGE)
		must(write(fd, block, PAGE) == (ssize_t)PAGE, "write");
	return fd;
}

static void *sleeper(void *unused)
{
	while (sem_wait(&leave))
		;
	return unused;
}

void add_threads(unsigned int count)
{
	pthread_attr_t attr;

	sem_init(&leave, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (nr_threads = 0; nr_threads < count; nr_threads++)
		must(!pthread_create(&threads[nr_threads], &attr, sleeper, NULL),
		     "pthread_create");
	pthread_attr_destroy(&attr);
	/* Wait until each blocks on its semaphore: none may run during a measurement. */
	usleep(10000);
}

void end_threads(void)
{
	for (unsigned int i = 0; i < nr_threads; i++)
		sem_post(&leave);
	while (nr_threads)
		pthread_join(threads[--nr_threads], NULL);
}

void reap(pid_t pid)
{
	int status;

	must(pid > 0, "fork");
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	must(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
	     "a child");
}
