/*
 * Where an address goes: (transport instance, next hop).
 */
#ifndef QUEUE_RESOLVE_H
#define QUEUE_RESOLVE_H

#include <posthouse/base.h>

struct config;
struct instance;

/* The classes of domains and the transports, behind functions so that a test can stand in. */
struct resolver {
	const char *myhostname;
	const char *local_transport, *relay_transport, *default_transport; /* "name" or "name:nexthop" */
	const char *relayhost;
	void *context;
	ph_found (*is_final)(void *context, const char *domain, ph_error *error);
	ph_found (*is_relay)(void *context, const char *domain, ph_error *error);
	bool (*is_own_address)(void *context, const ph_address *address);
	const struct instance *(*find)(void *context, const char *transport);
};

enum resolve_result {
	RESOLVE_OK,
	RESOLVE_DEFER,  /* a table failed, a transport is missing: status and reason */
	RESOLVE_REFUSE  /* no mail can go there: status and reason */
};

struct resolved {
	enum resolve_result result;
	bool local;                         /* our own domain */
	bool relay;                         /* one that we relay to */
	const struct instance *transport;
	const char *nexthop;                /* in the pool */
	const char *status, *reason;
};

/* Judges one address; may wait for a table. 0, or -1 without memory. */
int resolve_address(const struct resolver *resolver, const char *address, ph_pool *pool,
	struct resolved *resolved);

/* The same for an address whose message goes through a route of its own, "transport:nexthop" (FILTER
 * of an access table), wherever its recipients are. */
int resolve_filter(const struct resolver *resolver, const char *filter, const char *address,
	ph_pool *pool, struct resolved *resolved);

/* The resolver of a configuration. Finds out our own addresses; before the loop runs. */
int resolver_open(struct resolver *resolver, const struct config *config, ph_error *error);
void resolver_close(struct resolver *resolver);

#endif
