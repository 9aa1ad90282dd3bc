// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses that are expected to fault. They are made by the CPU, not by a
 * system call, because the entry in the page table is what is being tested.
 */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "mmstress.h"

/* Volatile, like the accesses themselves: their order matters. */
static _Thread_local sigjmp_buf *volatile probing;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (probing)
		siglongjmp(*probing, sig);
	fail("unexpected %s at %p", strsignal(sig), info->si_addr);
}

void probe_init(void)
{
	/* SA_NODEFER: the jump out of the handler restores no signal mask. */
	struct sigaction action = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGILL, &action, NULL);
}

/* A macro: sigsetjmp() must be called in the frame that it returns to. */
#define PROBE(access)				\
({						\
	sigjmp_buf env;				\
	int sig = sigsetjmp(env, 0);		\
						\
	if (!sig) {				\
		probing = &env;			\
		access;				\
	}					\
	probing = NULL;				\
	sig;					\
})

int try_load(const volatile uint64_t *addr, uint64_t *value)
{
	return PROBE(*value = *addr);
}

int try_store(volatile uint64_t *addr, uint64_t value)
{
	return PROBE(*addr = value);
}

int try_read(const volatile void *addr)
{
	return PROBE((void)*(const volatile char *)addr);
}

/* Leaves the contents as they are. */
int try_write(volatile void *addr)
{
	return PROBE(__atomic_fetch_or((volatile char *)addr, 0,
				       __ATOMIC_SEQ_CST));
}

int try_call(const void *addr, unsigned long arg1, unsigned long arg2,
	     unsigned long *result)
{
	unsigned long (*fn)(unsigned long a, unsigned long b);

	memcpy(&fn, &addr, sizeof(fn));
	return PROBE(*result = fn(arg1, arg2));
}

void must_fault(const volatile void *addr, bool write, const char *what)
{
	int sig = write ? try_write((volatile void *)addr) : try_read(addr);

	if (sig != SIGSEGV)
		fail("%s: %s at %p gave signal %d, expected SIGSEGV", what,
		     write ? "write" : "read", (void *)addr, sig);
}
