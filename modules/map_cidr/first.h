/*
 * Of some rules, which are switched on and off, and can be covered: the first that is on and not
 * covered.
 */
#ifndef MAP_CIDR_FIRST_H
#define MAP_CIDR_FIRST_H

#include <posthouse/base.h>

/*
 * Each rule has a number; one whose number is 0 counts. A tree of minima, so that both operations
 * take time with the logarithm of the count.
 */
struct first {
	int32_t *least;  /* of node i, whose children are 2i and 2i + 1, with its own sum */
	int32_t *sum;    /* added to everything below node i */
	size_t count;
	size_t leaves;   /* a power of two */
};

/* The numbers are taken from numbers. Memory is the caller's to free by first_free(). 0, or -1: no
 * memory. */
int first_make(struct first *first, const int32_t *numbers, size_t count);
void first_free(struct first *first);
/* Adds to the numbers of rules [from, to). */
void first_add(struct first *first, size_t from, size_t to, int32_t amount);
/* The index of the first rule with number 0; no number may be below. count: there is none. */
size_t first_zero(const struct first *first);

#endif
