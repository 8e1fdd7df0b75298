/*
 * The keys under which access tables have something, in the order of access(5).
 */
#ifndef RESTRICTION_ACCESS_KEYS_H
#define RESTRICTION_ACCESS_KEYS_H

#include <posthouse/restriction.h>

/* A lookup and, when it found something, the value; it lives until the restriction returns. */
struct lookup {
	ph_session *session;
	const ph_map *map;
	const char *value;
	bool dotted;        /* a domain's parents stand in the table with a dot before them */
	const char *origin; /* the domain of addresses that have none; "": they stay as they are */
};

/* One key, given to every kind of table. */
ph_found keys_whole(struct lookup *lookup, const char *key);
/* A domain and its parents, ".parent" when they are dotted. A table of patterns gets the domain
 * only. */
ph_found keys_domain(struct lookup *lookup, const char *domain);
/* An address, and the networks that it is in: "192.0.2.1", "192.0.2", "192.0", "192". */
ph_found keys_address(struct lookup *lookup, const ph_address *address);
/* "user+tag@domain", "user@domain", the domain and its parents, "user+tag@", "user@". delimiter:
 * the characters that part an extension off, or "". An address without a domain is looked up as one
 * of the origin: that is where it belongs. */
ph_found keys_mailbox(struct lookup *lookup, const char *address, const char *delimiter);

#endif
