/*
 * Header addresses, rewritten by parsing (RFC 5322, 3.4, with the obsolete forms).
 */
#ifndef INTAKE_REWRITE_HEADER_H
#define INTAKE_REWRITE_HEADER_H

#include <posthouse/base.h>

enum header_role {
	HEADER_ROLE_NONE,
	HEADER_ROLE_SENDER,   /* From, Sender, Reply-To and the like */
	HEADER_ROLE_RECIPIENT /* To, Cc, Bcc and the like */
};

/* Whose addresses a header of that name has. */
enum header_role header_role(ph_span name);

/* What becomes of an address; the same text: nothing. 0, or another value, which ends it. */
typedef int header_rewrite_fn(void *context, const char *address, const char **rewritten);

/*
 * Rewrites the addresses in a header's value; the bytes of those that change are replaced (comments
 * within go behind the address), all others stay as they are, and elements that are no addresses too. result is in the pool, or value
 * itself when nothing changed. 0; -1 without memory; or what rewrite returned.
 */
int header_rewrite(ph_pool *pool, ph_span value, header_rewrite_fn *rewrite, void *context,
	ph_span *result);

#endif
