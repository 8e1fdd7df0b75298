/*
 * The hosts behind a domain, looked up in access tables: its addresses, mail exchangers, name servers.
 */
#ifndef RESTRICTION_ACCESS_SERVERS_H
#define RESTRICTION_ACCESS_SERVERS_H

#include "keys.h"

enum servers {
	SERVERS_NONE,
	SERVERS_A,
	SERVERS_MX,
	SERVERS_NS
};

/* Each host's name, its parent domains, and its addresses. What cannot be looked up in the DNS is not
 * in the table; the log says so: what, name are the object's, for that line. */
ph_found servers_find(struct lookup *lookup, enum servers servers, const char *domain, const char *what,
	const char *name);

#endif
