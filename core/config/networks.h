/*
 * Lists of networks: what a parameter of type PH_NETWORKS holds.
 */
#ifndef CONFIG_NETWORKS_H
#define CONFIG_NETWORKS_H

#include <posthouse/module.h>

struct network {
	ph_address address;
	unsigned length;  /* of the prefix, in bits */
	bool excluded;    /* written with "!" */
};

struct ph_networks {
	size_t count;
	const struct network *items; /* in the pool of the configuration */
};

/* "192.0.2.0/24", "[2001:db8::]/32", "::1", with "!" before it: not. 0 or -1; host bits that are
 * set are an error that shows the network which was meant. */
int network_parse(ph_span text, struct network *network, ph_error *error);
bool network_has(const struct network *network, const ph_address *address);

#endif
