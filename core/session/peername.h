/*
 * The name of a client: what its address says it is, and that says it back.
 */
#ifndef SESSION_PEERNAME_H
#define SESSION_PEERNAME_H

#include <posthouse/base.h>

/*
 * Looks up the names of an address (PTR) and, of the first, its addresses. PH_FOUND with the name in
 * the pool when the address is among them; PH_NOT_FOUND when there is no such name; PH_FAILED when a
 * lookup failed for now. Waits.
 */
ph_found peername_find(ph_pool *pool, const ph_address *client, const char **name);

#endif
