/*
 * "{ key=value, { key = value with spaces } }": text in, entries out. Pure.
 */
#ifndef MAP_INLINE_PAIRS_H
#define MAP_INLINE_PAIRS_H

#include <posthouse/base.h>

struct pair {
	ph_span key;   /* in lower case (ASCII letters) */
	ph_span value;
};

struct pairs {
	struct pair *items; /* sorted by key, each key once */
	size_t count;
};

/* Keys and values lie in the pool, terminated. 0, or -1 with what is wrong. */
int pairs_parse(struct pairs *pairs, ph_pool *pool, ph_span text, ph_error *error);
/* NULL: there is none. */
const struct pair *pairs_find(const struct pairs *pairs, ph_span key);

struct texts {
	ph_span *items;
	size_t count;
};

/* "{ text, { text with spaces } }": at least one; they are parts of the text. 0, or -1 with what is
 * wrong. */
int texts_parse(struct texts *texts, ph_pool *pool, ph_span text, ph_error *error);

/* "{ text }" without its braces and the white space inside of them; other text as it is. 0 or
 * -1. */
int pairs_unwrap(ph_span text, ph_span *inside, ph_error *error);

#endif
