/*
 * Who probes of address verification come from.
 */
#ifndef INTAKE_VERIFY_SENDER_H
#define INTAKE_VERIFY_SENDER_H

#include "config/settings.h"

/* $address_verify_sender, complete; "" for the empty one. NULL: no memory. */
const char *verify_sender(ph_pool *pool, const struct settings *settings);
/* Is it that address (never the empty one), whatever the case of its letters? */
bool verify_sender_is(ph_pool *pool, const struct settings *settings, const char *address);

#endif
