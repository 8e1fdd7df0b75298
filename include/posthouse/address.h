/*
 * posthouse/address.h: mail addresses and names, parsed. Pure functions, no lookups.
 */
#ifndef POSTHOUSE_ADDRESS_H
#define POSTHOUSE_ADDRESS_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

enum {
	PH_PATH_EMPTY_OK = 1, /* "<>" is a path: the reverse-path of reports */
	PH_PATH_STRICT = 2,   /* angle brackets are required (RFC 5321, 4.1.2) */
	PH_PATH_UTF8 = 4,     /* SMTPUTF8 was asked for (RFC 6531) */
	PH_PATH_NUMERIC = 8   /* an IPv4 address for a domain may lack its brackets; it gets them */
};

/*
 * The path at the start of the text of a MAIL or RCPT command, after "FROM:" or "TO:". A source
 * route is dropped (RFC 5321, 4.1.1.3). On success address is the mailbox as sent through the
 * world, "local-part@domain", terminated, in the pool: quotes only where they are needed, the
 * domain in the case it came in, without a final dot; "" for "<>"; without "@domain" when there
 * was none. rest: what follows the path (the ESMTP parameters). 0, or -1 and the error's text.
 */
PH_API int ph_path_parse(ph_pool *pool, ph_span text, unsigned flags, const char **address,
	ph_span *rest, ph_error *error);

/* Everything before the last unquoted "@"; the whole address when there is none. */
PH_API ph_span ph_address_local_part(const char *address);
/* Everything after the last unquoted "@"; "" when there is none. Never NULL. */
PH_API const char *ph_address_domain(const char *address);
/* The local part before its extension, which begins at the first of the delimiters behind its first
 * character; all of it when it has none, and when it is quoted. */
PH_API ph_span ph_address_user(const char *address, const char *delimiters);
/* The local part without its quotes and backslashes, in the pool. */
PH_API const char *ph_address_unquoted(ph_pool *pool, const char *address);

/* Is it a host name: letters, digits, hyphens (not at an end of a label), dots; labels of 1 to 63,
 * 255 in all, not all numeric (RFC 5321, 2.3.5; RFC 1123, 2.1)? */
PH_API bool ph_is_hostname(const char *name);
/* A host name of at least two labels. */
PH_API bool ph_is_fqdn(const char *name);
/* An address literal, "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321, 4.1.3); address may be
 * NULL. */
PH_API bool ph_is_literal(const char *text, ph_address *address);

PH_END_DECLS

#endif
