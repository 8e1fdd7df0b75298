/*
 * A set of handles, and the line of those that nobody claimed yet.
 */
#ifndef QUEUE_MEMORY_KNOWN_H
#define QUEUE_MEMORY_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct known {
	uint64_t *slots; /* 0: free */
	size_t mask, count;
	uint64_t *line;
	size_t line_first, line_count, line_room;
};

/* Puts a new handle (never 0) at the end of the line. 1: it is new, 0: known, -1: no memory. */
int known_add(struct known *known, uint64_t handle);
void known_remove(struct known *known, uint64_t handle);
/* The first of the line. false: there is none. */
bool known_next(struct known *known, uint64_t *handle);
/* Sorts the line: handles grow with time. */
void known_sort(struct known *known);
void known_clear(struct known *known);

#endif
