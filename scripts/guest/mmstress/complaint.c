// SPDX-License-Identifier: GPL-2.0-only
/* Finds complaints in the kernel's messages, by the rules for its console. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mmstress.h"

static const struct rule {
	const char *name, *pattern, *unless;
} rules[] = {
/* Made by mkinitrd from scripts/harness/boot/rules.py. */
#include "rules.h"
};

static struct {
	regex_t pattern, unless;
} compiled[ARRAY_SIZE(rules)];

/* All patterns in one, since most lines break no rule. */
static regex_t any;

static void compile(regex_t *regex, const char *pattern)
{
	char error[80];
	int ret = regcomp(regex, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB);

	if (!ret)
		return;
	regerror(ret, regex, error, sizeof(error));
	fail("pattern %s: %s", pattern, error);
}

static void compile_rules(void)
{
	size_t size = 0;
	char *all;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		size += strlen(rules[i].pattern) + sizeof("|()");
	all = calloc(1, size);
	if (!all)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		sprintf(all + strlen(all), "%s(%s)", i ? "|" : "",
			rules[i].pattern);
		compile(&compiled[i].pattern, rules[i].pattern);
		compile(&compiled[i].unless, rules[i].unless);
	}
	compile(&any, all);
	free(all);
}

static bool has(const regex_t *regex, const char *text)
{
	return !regexec(regex, text, 0, NULL, 0);
}

const char *message(const char *line)
{
	const char *p = line;

	if (*p == '<' && strchr(p, '>'))
		p = strchr(p, '>') + 1;
	/* The time, and with it the caller. */
	if (*p == '[' && strspn(p + 1, " .0123456789") == strcspn(p + 1, "]"))
		do
			p = strchr(p, ']') + 1;
		while (*p == '[' && strchr(p, ']'));
	while (*p == ' ')
		p++;
	return p;
}

const char *complaint(const char *line)
{
	const char *text = message(line);
	static bool is_ready;

	if (!is_ready)
		compile_rules();
	is_ready = true;
	if (!has(&any, text))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (has(&compiled[i].pattern, text) &&
		    !(*rules[i].unless && has(&compiled[i].unless, text)))
			return rules[i].name;
	return NULL;
}
