// SPDX-License-Identifier: GPL-2.0-only
/* Checks of the kernel's log. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#include "../mmstress.h"
#include "../tests.h"

enum { SYSLOG_READ_ALL = 3, SYSLOG_SIZE = 10 };

char *read_klog(void)
{
	int size = klogctl(SYSLOG_SIZE, NULL, 0), len;
	char *text;

	if (size < 0)
		return NULL;
	/* The buffer has no time stamps and levels; with them, a full log is larger. */
	size *= 3;
	text = malloc(size + 1);
	if (!text)
		abort();
	len = klogctl(SYSLOG_READ_ALL, text, size);
	if (len < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/*
 * Tests whether the log still has the first message. Messages that a log has lost
 * cannot be judged.
 */
static void must_be_complete(void)
{
	unsigned long long first;
	char record[8 * KIB];
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		fail_errno("/dev/kmsg");
	len = read(fd, record, sizeof(record) - 1);
	close(fd);
	if (len < 0)
		fail_errno("the oldest record of the kernel's log");
	record[len] = '\0';
	if (sscanf(record, "%*u,%llu,", &first) != 1)
		fail("a record of the kernel's log is '%s'", record);
	if (first)
		fail("the kernel's log has wrapped: it begins with message %llu", first);
}

void test_dmesg(void)
{
	char *log = read_klog(), *first = NULL, *rest;
	const char *rule, *broken = NULL;
	unsigned int count = 0;

	if (!log)
		fail_errno("the kernel's log is not readable");
	must_be_complete();
	for (char *line = strtok_r(log, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		rule = complaint(line);
		if (!rule)
			continue;
		if (!first) {
			first = line;
			broken = rule;
		}
		count++;
	}
	if (count)
		fail("%u complaint(s), the first, %s: %s", count, broken,
		     message(first));
}

/* The check that DEBUG_WX makes at boot, and again now if debugfs offers it. */
void test_wx(void)
{
	char verdict[32], *log = read_klog();
	bool now, boot;

	now = read_text("/sys/kernel/debug/check_wx_pages", verdict,
			sizeof(verdict));
	if (now && strncmp(verdict, "SUCCESS", 7))
		fail("check_wx_pages reports %s", verdict);
	boot = log && strstr(log, "Checked W+X mappings: ");
	if (boot && !strstr(log, "Checked W+X mappings: passed"))
		fail("the kernel found pages writable and executable");
	free(log);
	if (!now && !boot)
		skip("neither DEBUG_WX nor check_wx_pages in this kernel");
}
