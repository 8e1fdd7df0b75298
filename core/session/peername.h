/*
 * The names of a client: what its address says it is, and whether that says it back.
 */
#ifndef SESSION_PEERNAME_H
#define SESSION_PEERNAME_H

#include <posthouse/base.h>

struct peername {
	const char *reverse;    /* the first PTR record, unverified; in the pool; NULL: none */
	ph_found reverse_found; /* is there one that is a host name? Or did the lookup fail? */
	/* Is the client's address among those of that name? PH_NOT_FOUND too without a name, and
	 * PH_FAILED too when it could not be learned: the status of the verified name. */
	ph_found forward_found;
};

/*
 * Looks up the name of an address (PTR) and the addresses of that name; of several names the first
 * counts. What is no host name, or a numeric one, is none: an address for a name would pass where
 * addresses are asked for. What does not match is logged. Waits.
 */
void peername_find(ph_pool *pool, const ph_address *client, struct peername *names);
/* Is the client's address among those of a name? What does not match is logged. Waits. */
ph_found peername_verify(ph_pool *pool, const char *name, const ph_address *client);

#endif
