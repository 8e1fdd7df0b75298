/*
 * A set of strings in a pool.
 */
#ifndef TRANSPORT_LOCAL_SET_H
#define TRANSPORT_LOCAL_SET_H

#include <posthouse/base.h>

/* Begins zeroed, but for exact. */
struct set {
	const char **slots;
	size_t room, count;
	bool exact; /* letters have a case */
};

/* The text is not copied. 1: it is new; 0: it was there; -1: no memory. */
int set_add(struct set *set, ph_pool *pool, const char *text);

#endif
