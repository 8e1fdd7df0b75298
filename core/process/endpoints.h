/*
 * Where the listeners of a configuration listen: what their endpoints() asked for, expanded.
 */
#ifndef PROCESS_ENDPOINTS_H
#define PROCESS_ENDPOINTS_H

#include <posthouse/listener.h>

#include "config/config.h"

struct endpoint {
	const struct instance *listener;
	bool is_unix;
	bool optional;       /* of several addresses: one that this machine may not have */
	ph_address address;  /* not for Unix sockets; port 0: the kernel picks */
	const char *path;    /* of a Unix socket; in the pool */
	unsigned mode;
};

struct ph_endpoints {
	ph_pool *pool;
	const struct settings *settings;
	const struct instance *listener; /* who is asked */
	struct endpoint *items;
	size_t count, room;
};

/* Asks every listener. What is wrong goes to problems, at the line of the listener. pool owns the
 * result. */
void endpoints_collect(struct ph_endpoints *endpoints, ph_pool *pool, const struct config *config,
	struct problems *problems);

#endif
