/*
 * $name in a parameter that is expanded for a delivery: forward_path, luser_relay. Pure.
 */
#ifndef TRANSPORT_LOCAL_MACROS_H
#define TRANSPORT_LOCAL_MACROS_H

#include <posthouse/base.h>

/* The value of a name; NULL: there is no such name. */
typedef const char *macros_fn(void *context, const char *name);

/*
 * Replaces $name, ${name} and $(name) by its value, ${name?text} by the text when the value is not
 * empty, ${name:text} when it is; the text may hold macros itself. "$$" is a dollar sign. Characters
 * of values that are not in allowed (NULL: all are) become "_". NULL with the error: a name that is
 * not known, a brace that is not closed, no memory, more than 4 KiB.
 */
const char *macros_expand(ph_pool *pool, const char *text, const char *allowed, macros_fn *value,
	void *context, ph_error *error);

#endif
