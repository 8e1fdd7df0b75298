/*
 * Who probes of address verification come from. With address_verify_sender_ttl the address changes
 * with time, so that whoever collects addresses cannot write to it for long: digits that count the
 * periods since 1970 stand at the end of its local part.
 */
#ifndef INTAKE_VERIFY_SENDER_H
#define INTAKE_VERIFY_SENDER_H

#include "config/settings.h"

/* $address_verify_sender now (wall clock, seconds), complete; "" for the empty one. NULL: no
 * memory. */
const char *verify_sender(ph_pool *pool, const struct settings *settings, int64_t now);
/* Is it that address (never the empty one), of this period, the last or the next, whatever the case
 * of its letters? Then the address without its period; else NULL. */
const char *verify_sender_base(ph_pool *pool, const struct settings *settings, int64_t now,
	const char *address);

#endif
