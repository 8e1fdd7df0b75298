/*
 * A policy server as the configuration names it: "inet:host:port", "unix:path", "host:port",
 * "{ inet:host:port, timeout=10s, default_action=DUNNO }". Text in, a service out. Pure.
 */
#ifndef RESTRICTION_POLICY_SERVICE_H
#define RESTRICTION_POLICY_SERVICE_H

#include <posthouse/base.h>

/* How it is asked. In a service: -1 and NULL for what the parameters are to say. */
struct service_settings {
	int64_t timeout;       /* milliseconds, as the other times */
	int64_t max_idle, max_ttl, retry_delay;
	int64_t try_limit;
	int64_t request_limit; /* 0: none */
	const char *default_action, *policy_context;
};

struct service {
	const char *name;       /* "inet:127.0.0.1:10023", for logs; the same for the same server */
	const char *host;       /* without brackets; NULL: a Unix-domain socket */
	const char *port;       /* a number, or a name of services(5) */
	const char *path;       /* relative: below queue_directory */
	struct service_settings own;
};

/* The texts lie in the pool. 0, or -1 with what is wrong and what to write. */
int service_parse(struct service *service, ph_pool *pool, ph_span text, ph_error *error);
/* What it says itself, and for the rest what the parameters say. */
struct service_settings service_settings(const struct service *service,
	const struct service_settings *parameters);

#endif
