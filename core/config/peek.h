/*
 * A look at a few parameters of a configuration without loading it: no module, no check. For
 * commands that must start fast, like sendmail.
 */
#ifndef CONFIG_PEEK_H
#define CONFIG_PEEK_H

#include <posthouse/base.h>

struct peek {
	const char *name;  /* of a parameter of the core that is one text */
	const char *value; /* out, in the pool: expanded; never NULL on success */
};

/*
 * The values of parameters as the file at path (and what it includes) sets them, else their
 * defaults. A file that does not exist sets nothing. References are expanded where they lead to
 * other parameters of the core that are set or have a constant default. 0, or -1 with the error.
 */
int config_peek(const char *path, ph_pool *pool, struct peek *peeks, size_t count, ph_error *error);

#endif
