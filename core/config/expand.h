/*
 * $name, ${name} and $(name) in values; "$$" is a dollar sign. Pure: what a name means is asked of
 * the caller.
 */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include <posthouse/base.h>

/* The names that are being expanded, innermost first; loops are found along it. */
struct expand_chain {
	const char *name;
	const struct expand_chain *up;
};

/* The text of a parameter, expanded itself, in the pool; NULL with the error. chain begins with the
 * name in question. */
typedef const char *expand_fn(void *context, ph_pool *pool, const char *name,
	const struct expand_chain *chain, ph_error *error);

/* The text with every reference replaced, in the pool; NULL with the error: an unknown name, a
 * loop ("a -> b -> a"), a result above 64 KiB. */
const char *expand_text(ph_pool *pool, const char *text, expand_fn *lookup, void *context,
	const struct expand_chain *chain, ph_error *error);

/* Is the whole text one reference? Then name is what it refers to, in the pool. */
bool expand_is_reference(ph_pool *pool, const char *text, const char **name);
/* Does a reference to that name stand in the text? */
bool expand_refers(const char *text, const char *name);
/* Is name in the chain already? Then -1, and the error shows the chain. */
int expand_check_loop(const struct expand_chain *chain, const char *name, ph_error *error);

#endif
