/*
 * Where an address goes: (transport instance, next hop).
 */
#ifndef QUEUE_RESOLVE_H
#define QUEUE_RESOLVE_H

#include <posthouse/base.h>

#include "config/domainclass.h"

struct config;
struct instance;

/* The settings, and what else must be known, behind functions so that a test can stand in. */
struct resolver {
	const struct settings *settings;
	void *context;
	enum domain_class (*classify)(void *context, const char *domain, ph_error *error);
	bool (*is_own_address)(void *context, const ph_address *address);
	const struct instance *(*find)(void *context, const char *transport);
};

enum resolve_result {
	RESOLVE_OK,
	RESOLVE_DEFER,  /* a table failed, a transport is missing: status and reason */
	RESOLVE_REFUSE  /* no mail can go there: status and reason */
};

/* Texts are in the pool, or the settings'. */
struct resolved {
	enum resolve_result result;
	enum domain_class class;            /* DOMAIN_LOCAL: also literals, and without a domain */
	const struct instance *transport;
	const char *nexthop;
	bool on_demand;                     /* defer_transports has it: it takes what is flushed, no more */
	const char *status, *reason;
	/* How it came to that: the parameters that named the transport and the next hop (NULL: the
	 * domain is the next hop), and of one that is a table its name and what it said. */
	const char *transport_parameter, *nexthop_parameter;
	const char *table, *answer;
};

/*
 * Judges one address of a message from sender ("": the empty one). sender NULL: the address was
 * left to us by a transport that delivers here, and no table of routes is asked again. May wait for
 * a table. 0, or -1 without memory.
 */
int resolve_address(const struct resolver *resolver, const char *sender, const char *address,
	ph_pool *pool, struct resolved *resolved);

/* The same for an address that has a route of its own, "transport:nexthop" (of a filter, or from
 * local delivery), wherever it is. nexthop: where the route has none; "": the address's domain. */
int resolve_route(const struct resolver *resolver, const char *route, const char *nexthop,
	const char *address, ph_pool *pool, struct resolved *resolved);

/* The resolver of a configuration. Finds out our own addresses; before the loop runs. */
int resolver_open(struct resolver *resolver, const struct config *config, ph_error *error);
void resolver_close(struct resolver *resolver);

#endif
