/*
 * The nearest right spelling of a wrong word. Pure.
 */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word;
	const char *best;  /* the nearest candidate so far; kept by reference */
	unsigned distance;
};

struct nearest nearest_to(const char *word);
void nearest_try(struct nearest *nearest, const char *candidate);
/* The best candidate, or NULL when none is near enough to be meant. */
const char *nearest_result(const struct nearest *nearest);
/* "; did you mean X?", or "". Returns text. */
const char *nearest_hint(const struct nearest *nearest, char *text, size_t size);
/* Edits (insert, delete, replace, swap neighbours) between two words, without regard to case. */
unsigned nearest_distance(const char *a, const char *b);

#endif
