/*
 * Completing addresses: what a local user may leave out.
 */
#ifndef INTAKE_COMPLETE_H
#define INTAKE_COMPLETE_H

#include "config/settings.h"

/*
 * "user" becomes user@myorigin (append_at_myorigin), "user@host" user@host.mydomain
 * (append_dot_mydomain; not for address literals); the dot at the end of a domain goes; without a
 * domain user%host and host!user are user@host (source_route.h). An address
 * that is complete is returned as it is, "" too. NULL: no memory.
 */
const char *address_complete(ph_pool *pool, const struct settings *settings, const char *address);
/* The same for what a stranger left out in a header: with remote_header_rewrite_domain, both. */
const char *address_complete_remote(ph_pool *pool, const struct settings *settings,
	const char *address);
/* The same for a recipient: "" becomes empty_address_recipient. */
const char *recipient_complete(ph_pool *pool, const struct settings *settings, const char *address);

#endif
