// SPDX-License-Identifier: GPL-2.0-only
/*
 * One word per cache line says which page of which generation it belongs to,
 * mixed with the seed so that data of another run cannot match. A wrong word can
 * be decoded: it shows whose page was read.
 */
#include <stdio.h>

#include "mmstress.h"

#define LINE		64
#define LINES		(PAGE / LINE)
#define LINE_BITS	6
#define GEN_BITS	26
#define GEN_MASK	((1UL << GEN_BITS) - 1)

uint64_t pattern_seed;

static uint64_t key(void)
{
	return pattern_seed * 0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d;
}

uint64_t pattern_word(uint32_t page, uint32_t gen)
{
	uint64_t word = page;

	word = word << GEN_BITS | (gen & GEN_MASK);
	return (word << LINE_BITS) ^ key();
}

void fill(void *mem, size_t pages, uint32_t first, uint32_t gen)
{
	for (size_t i = 0; i < pages; i++) {
		uint64_t word = pattern_word(first + i, gen);
		volatile char *page = (char *)mem + i * PAGE;

		for (unsigned int line = 0; line < LINES; line++)
			*(volatile uint64_t *)(page + line * LINE) = word ^ line;
	}
}

/* Reads the word again: a stale TLB entry may be gone by then. */
static __noreturn void mismatch(const char *what, uint32_t page, unsigned int line,
				uint32_t gen, uint64_t found,
				const volatile uint64_t *at)
{
	uint64_t decoded = found ^ key();
	char whose[64] = "foreign data";

	if (!found)
		snprintf(whose, sizeof(whose), "zero");
	else if (decoded % LINES == line)
		snprintf(whose, sizeof(whose), "page %lu generation %lu",
			 decoded >> (GEN_BITS + LINE_BITS),
			 decoded >> LINE_BITS & GEN_MASK);
	fail("%s: page %u generation %lu has %s at %p: %#lx, expected %#lx, now %#lx, seed %lu",
	     what, page, gen & GEN_MASK, whose, (void *)at, found,
	     pattern_word(page, gen) ^ line, *at, pattern_seed);
}

void verify(const void *mem, size_t pages, uint32_t first, uint32_t gen,
	    const char *what)
{
	for (size_t i = 0; i < pages; i++) {
		uint64_t word = pattern_word(first + i, gen);
		const volatile char *page = (const char *)mem + i * PAGE;

		for (unsigned int line = 0; line < LINES; line++) {
			const volatile uint64_t *p =
				(const volatile uint64_t *)(page + line * LINE);
			uint64_t found = *p;

			if (found != (word ^ line))
				mismatch(what, first + i, line, gen, found, p);
		}
	}
}

bool is_zero_page(const void *mem)
{
	const volatile uint64_t *word = mem;

	for (size_t i = 0; i < PAGE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

long kept_number(const uint64_t *page)
{
	uint64_t zero = pattern_word(0, 0), number = (*page ^ zero) >> 32;

	if (*page != pattern_word(number, KEEP_GEN) || number < KEEP_NONE ||
	    number - KEEP_NONE >= KEEP_MOST)
		return -1;
	return number - KEEP_NONE;
}
