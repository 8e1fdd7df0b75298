/*
 * The tables that send mail another way: transport(5), the routes of senders, and relocated(5).
 */
#ifndef CONFIG_ROUTES_H
#define CONFIG_ROUTES_H

#include "config/settings.h"

/* One question; what is found goes to value, the table's name to table. */
struct routes {
	const struct settings *settings;
	ph_pool *pool;
	const char *address, *domain; /* the recipient; its domain, never empty */
	const char *sender;           /* "": the empty one */
	const char *value, *table;
	ph_error *error;
};

/* $transport_maps: the address, without its extension, the domain, ".parent" of each parent,
 * "*". */
ph_found routes_transport(struct routes *routes);
/* $relocated_maps. */
ph_found routes_relocated(struct routes *routes);
/* By the sender; PH_NOT_FOUND also for DUNNO. */
ph_found routes_sender_transport(struct routes *routes);
ph_found routes_sender_relayhost(struct routes *routes);

#endif
