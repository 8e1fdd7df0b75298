/*
 * Asking the tables for a recipient.
 */
#ifndef TRANSPORT_VIRTUAL_LOOKUP_H
#define TRANSPORT_VIRTUAL_LOOKUP_H

#include <posthouse/map.h>
#include <posthouse/transport.h>

#include "virtual.h"

/* What virtual_mailbox_maps says: user+extension@domain, user@domain, @domain. */
ph_found lookup_mailbox(ph_pool *pool, const struct virtual *virtual, const char *recipient,
	const char **value, ph_error *error);
/* The user and the group of the recipient's mailbox, or what becomes of the recipient. */
void lookup_rights(ph_pool *pool, const struct virtual *virtual, const char *recipient,
	struct ph_user_rights *rights);

#endif
