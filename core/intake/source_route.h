/*
 * Routes that a sender writes into the local part: user%host@here, host!user, "user@host"@here.
 */
#ifndef INTAKE_SOURCE_ROUTE_H
#define INTAKE_SOURCE_ROUTE_H

#include "config/settings.h"

/*
 * What the address of a domain of ours, or without a domain, means by its local part: host!user is
 * user@host with swap_bangpath, user%host with allow_percent_hack, and what stands in quotes is looked
 * into with resolve_dequoted_address, user@host as well. The address itself when it names no host, and
 * when what it names is no address. NULL: no memory.
 */
const char *source_route(ph_pool *pool, const struct settings *settings, const char *address);

/* May its local part have one? */
bool source_route_is_possible(const char *address);

#endif
