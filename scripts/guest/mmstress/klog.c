// SPDX-License-Identifier: GPL-2.0
/* What the kernel had to say about itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#include "mmstress.h"
#include "tests.h"

enum { SYSLOG_READ_ALL = 3, SYSLOG_SIZE = 10 };

char *read_klog(void)
{
	int size = klogctl(SYSLOG_SIZE, NULL, 0), len;
	char *text;

	if (size < 0)
		return NULL;
	text = malloc(size + 1);
	if (!text)
		abort();
	len = klogctl(SYSLOG_READ_ALL, text, size);
	text[len < 0 ? 0 : len] = '\0';
	return text;
}

/* The text after "<4>[    1.234567] ". */
static char *message(char *line)
{
	char *p = line;

	if (*p == '<' && strchr(p, '>'))
		p = strchr(p, '>') + 1;
	if (*p == '[' && strchr(p, ']'))
		p = strchr(p, ']') + 1;
	while (*p == ' ')
		p++;
	return p;
}

/* At the start of a message. */
static const char *const bad_starts[] = {
	"WARNING: ", "BUG: ", "kernel BUG at ", "Oops: ", "INFO: task ",
	"INFO: rcu", "rcu: INFO: ", "INFO: possible ", "Kernel panic",
	"------------[ cut here ]", "general protection fault",
	"watchdog: BUG", "page_table_check", "UBSAN: ", "KCSAN: ",
};

/* Anywhere in a message. */
static const char *const bad_words[] = {
	"multicall(s) failed", "insecure W+X mapping", "Bad page map",
	"mmu_update of ", "mmuext_op of ", "update_va_mapping of ",
	"Bad page state", "Bad rss-counter", "Out of memory",
	"sleeping function called", "scheduling while atomic",
	"unable to handle", "annot add additional memory", "no memory added",
	"possible circular locking", "suspicious RCU usage",
};

static bool is_bad(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_starts); i++)
		if (!strncmp(text, bad_starts[i], strlen(bad_starts[i])))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(bad_words); i++)
		if (strstr(text, bad_words[i]))
			return true;
	return false;
}

void test_dmesg(void)
{
	char *log = read_klog(), *first = NULL, *rest;
	unsigned int count = 0;

	if (!log)
		skip("the kernel's log is not readable");
	for (char *line = strtok_r(log, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (!is_bad(message(line)))
			continue;
		if (!first)
			first = message(line);
		count++;
	}
	if (count)
		fail("%u complaint(s), the first: %s", count, first);
}

/* The check that DEBUG_WX makes at boot, and now if debugfs offers it. */
void test_wx(void)
{
	char verdict[32], *log = read_klog();
	bool now, boot;

	now = read_text("/sys/kernel/debug/check_wx_pages", verdict,
			sizeof(verdict));
	if (now && strncmp(verdict, "SUCCESS", 7))
		fail("check_wx_pages says %s", verdict);
	boot = log && strstr(log, "Checked W+X mappings: ");
	if (boot && !strstr(log, "Checked W+X mappings: passed"))
		fail("the kernel found pages writable and executable");
	free(log);
	if (!now && !boot)
		skip("neither DEBUG_WX nor check_wx_pages in this kernel");
}
