#include "config/nearest.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LONGEST 80

static unsigned
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned)(c - 'A' + 'a') : (unsigned char)c;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned
nearest_distance(const char *a, const char *b)
{
	unsigned rows[3][LONGEST + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2], *free_row;
	size_t a_size = strlen(a), b_size = strlen(b);

	if (a_size > LONGEST || b_size > LONGEST)
		return UINT_MAX;
	for (size_t j = 0; j <= b_size; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			unsigned same = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;

			row[j] = least(above[j - 1] + same, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
				lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		free_row = before;
		before = above;
		above = row;
		row = free_row;
	}
	return above[b_size];
}

struct nearest
nearest_to(const char *word)
{
	return (struct nearest){.word = word, .distance = UINT_MAX};
}

void
nearest_try(struct nearest *nearest, const char *candidate)
{
	unsigned distance = nearest_distance(nearest->word, candidate);

	if (distance < nearest->distance) {
		nearest->distance = distance;
		nearest->best = candidate;
	}
}

const char *
nearest_result(const struct nearest *nearest)
{
	size_t size = strlen(nearest->word);
	unsigned limit = size < 4 ? 1 : size < 8 ? 2 : size < 16 ? 3 : 4;

	return nearest->best && nearest->distance <= limit && nearest->distance < size
		? nearest->best : NULL;
}

const char *
nearest_hint(const struct nearest *nearest, char *text, size_t size)
{
	const char *best = nearest_result(nearest);

	text[0] = '\0';
	if (best)
		snprintf(text, size, "; did you mean %s?", best);
	return text;
}
