/*
 * From a next hop to the hosts to try, in order (RFC 5321, 5.1).
 */
#ifndef SMTP_HOSTS_H
#define SMTP_HOSTS_H

#include <posthouse/base.h>

#include "nexthop.h"
#include "settings.h"

struct host {
	const char *name;
	unsigned preference;
	ph_address address; /* with its port */
	const char *path;   /* of a Unix-domain socket; NULL: the address counts */
};

struct hosts {
	struct host *items;
	size_t count;
	bool permanent;     /* there are none and never will be: bounce; else defer */
	bool refused;       /* and no other host would do: the domain takes no mail, or we are its host */
	char status[12];    /* why there are none */
	char reason[300];
};

/* Waits for DNS. The hosts live in the pool. */
void hosts_find(const struct smtp_settings *settings, ph_pool *pool, const struct nexthop *hop,
	struct hosts *hosts);

#endif
